"""The report of an evaluation: contents, self-containedness, and escaping of untrusted text."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from jinja2 import UndefinedError

from fercli.images import encode_png
from fercli.report.pages import (
    EvaluationPage,
    LineageItem,
    Mistake,
    evaluation_page,
    render,
)

PNG = encode_png(np.arange(64, dtype=np.uint8).reshape(8, 8))
HOSTILE = "<script>alert(\"x\")</script>' onload='y"

SUMMARY: dict[str, Any] = {
    "split": "test",
    "n": 1010,
    "tta": "ten-crop",
    "selection": "epoch 7, by validation accuracy",
    "emotions": ["happy", "sad"],
    "accuracy": 0.7,
    "accuracy_interval": [0.671, 0.7275],
    "balanced_accuracy": 0.68,
    "macro_f1": 0.6543,
    "averaged_over": 2,
    "roc_auc": 0.8765,
    "per_class": {
        "happy": {"precision": 0.7111, "recall": 0.8, "specificity": 0.6, "f1": 0.75, "support": 1000},
        "sad": {"precision": 0.7, "recall": 0.6, "specificity": 0.8, "f1": 0.65, "support": 10},
    },
    "confusion": [[700, 300], [3, 7]],
    "without_leaks": {"n": 1007, "accuracy": 0.69, "accuracy_interval": [0.66, 0.72]},
}

PAGE = EvaluationPage(
    title="ResNet-50 on FER2013",
    summary=SUMMARY,
    confusion_picture=PNG,
    roc_picture=PNG,
    curves_picture=PNG,
    mistakes=(Mistake(np.zeros((48, 48), np.uint8), "happy", "sad", 0.987, "test/happy/0001.png"),),
    lineage=(
        LineageItem(
            "run", "../run", "0123456789abcdef" * 4, "fer train pack run", "2026-01-01T10:00", "2026-01-01T11:00"
        ),
        LineageItem("photographs", "../raw", "fedcba9876543210" * 4),
    ),
    command="fer evaluate run pack",
    version="0.1.0",
    device="cuda:0",
    ended="2026-01-01T12:00",
)


class _Tags(HTMLParser):
    """Collects open tags, all tags, and the text."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


def _with_summary(**changes) -> EvaluationPage:
    return replace(PAGE, summary={**copy.deepcopy(SUMMARY), **changes})


def test_absent_emotions_have_empty_cells_and_a_note() -> None:
    absent = {"precision": None, "recall": None, "specificity": 1.0, "f1": None, "support": 0}
    summary = {**SUMMARY, "averaged_over": 1, "per_class": {**SUMMARY["per_class"], "sad": absent}}
    page = evaluation_page(replace(PAGE, summary=summary))
    assert "over the 1 of 2 emotions that occur" in page
    cells = re.findall(r"<td>(.*)</td>", page[page.index("sad</th>") :])[:5]
    assert cells == ["", "", "1.000", "", "0"]
    assert "emotions that occur" not in evaluation_page(PAGE)


def test_page_contents():
    text = _Tags(evaluation_page(PAGE)).text
    for expected in (
        "70.00 % 95 % interval 67.10 % to 72.75 %",
        "Images 1,010",
        "Test-time augmentation ten-crop",
        "Selection epoch 7, by validation accuracy",
        "Balanced accuracy 68.00 %",
        "Macro F1 0.654",
        "ROC AUC, macro 0.876",
        "Without the 3 test images whose pixels the run was trained on: accuracy 69.00 % , "
        "95 % interval 66.00 % to 72.00 %, n = 1,007.",
        "happy 0.711 0.800 0.671 to 0.728 0.600 0.750 1,000",
        "1 of 303 misclassified images",
        "happy → sad p 0.99",
        "run ../run digest 0123456789ab · 2026-01-01T10:00 to 2026-01-01T11:00 fer train pack run",
        "photographs ../raw digest fedcba987654 Command",
        "fer evaluate run pack fercli 0.1.0 on cuda:0, 2026-01-01T12:00",
    ):
        assert expected in text, expected


def test_page_is_self_contained():
    html = evaluation_page(PAGE)
    page = _Tags(html)
    assert page.open == []
    assert not re.search(r"https?://|//[a-z]|url\(|@import", html.split("</style>")[0] + page.text)
    sources = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert len(sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in page.tags}
    assert "http://" not in html
    assert "https://" not in html


def test_untrusted_text_is_escaped():
    per_class = {HOSTILE: SUMMARY["per_class"]["happy"], "sad": SUMMARY["per_class"]["sad"]}
    page = replace(
        _with_summary(emotions=[HOSTILE, "sad"], per_class=per_class, split=HOSTILE, tta=HOSTILE, selection=HOSTILE),
        title=HOSTILE,
        mistakes=(Mistake(np.zeros((8, 8), np.uint8), HOSTILE, HOSTILE, 1.0, HOSTILE),),
        lineage=(LineageItem(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        command=HOSTILE,
        device=HOSTILE,
        version=HOSTILE,
        ended=HOSTILE,
        notes=(HOSTILE,),
    )
    html = evaluation_page(page)
    found = _Tags(html)
    assert "<script" not in html
    assert found.text.count(HOSTILE) >= 15
    assert [tag for tag, _ in found.tags].count("figure") == 1
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert ("figure", {"title": HOSTILE}) in found.tags


def test_file_name_that_is_not_utf8():
    mistake = Mistake(np.zeros((8, 8), np.uint8), "happy", "sad", 1.0, "caf\udce9.png")
    assert r"caf\xe9.png" in evaluation_page(replace(PAGE, mistakes=(mistake,))).encode("utf-8").decode("utf-8")


def test_missing_parts_are_not_shown():
    bare = replace(
        _with_summary(without_leaks=None, roc_auc=None),
        roc_picture=None,
        curves_picture=None,
        mistakes=(),
        lineage=(),
        command="",
        ended="",
    )
    page = _Tags(evaluation_page(bare))
    assert [tag for tag, _ in page.tags].count("img") == 1
    assert "ROC AUC, macro undefined" in page.text
    assert "Called from Python. fercli 0.1.0 on cuda:0" in page.text
    for heading in ("Without the", "Training", "Over all thresholds", "mistakes", "Lineage"):
        assert heading not in page.text


def test_one_leaked_image_is_singular():
    one = {"n": 1009, "accuracy": 0.7, "accuracy_interval": [0.67, 0.73]}
    assert "Without the 1 test image whose" in _Tags(evaluation_page(_with_summary(without_leaks=one))).text


def test_notes_are_shown():
    assert "packed with leaks" in _Tags(evaluation_page(replace(PAGE, notes=("packed with leaks",)))).text


def test_undefined_name_is_an_error():
    with pytest.raises(UndefinedError):
        render("evaluation.html.j2", {})


# --- ensembles ---


def test_members_and_mcnemars_test_of_an_ensemble() -> None:
    members = [
        {
            "checkpoint": name,
            "architecture": "quick",
            "options": {"attention": "se"} if known is None else {},
            "weight": weight,
            "accuracy": 0.6,
            "accuracy_interval": [0.5, 0.69],
            "validation_accuracy": known,
            "selected": weight > 0,
        }
        for name, weight, known in ((HOSTILE, 0.75, 0.612), ("run-2", 0.25, None), ("run-3", 0.0, 0.1))
    ]
    summary = {
        **SUMMARY,
        "method": "weighted",
        "members": members,
        "mcnemar": {
            "best_member": HOSTILE,
            "best_by": "validation accuracy",
            "both": 1234,
            "only_ensemble": 56,
            "only_member": 34,
            "neither": 7,
            "p_value": 0.02624,
        },
    }
    html = evaluation_page(replace(PAGE, summary=summary))
    assert "<script" not in html
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "0.750 61.20 % 60.00 % 50.00 % to 69.00 %" in text
    assert "run-2 quick se 0.250 unknown 60.00 %" in text
    assert "run-3 (left out) quick 0.000" in text
    assert "Ensemble (weighted) 70.00 % 67.10 % to 72.75 %" in text
    assert (
        "the best member by validation accuracy: only the ensemble was right on 56 images, only the member on" in text
    )
    assert "both on 1,234, neither on 7; McNemar's exact test, two-sided: p = 0.026" in text
    assert "whose pixels any member was trained on" in text
    without_test = evaluation_page(replace(PAGE, summary={**summary, "mcnemar": None}))
    assert "McNemar" not in without_test
    assert "Members" not in evaluation_page(PAGE)


def test_tables_have_row_headers_and_scroll_by_keyboard() -> None:
    members = [
        {
            "checkpoint": "run", "architecture": "quick", "options": {}, "weight": 1.0, "accuracy": 0.7,
            "accuracy_interval": [0.67, 0.73], "validation_accuracy": None, "selected": True,
        }
    ]  # fmt: skip
    summary = {**SUMMARY, "method": "mean", "members": members, "mcnemar": None}
    html = evaluation_page(replace(PAGE, summary=summary))
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", html.split("<tbody>", 1)[1], re.DOTALL):
        assert row.lstrip().startswith(('<th scope="row"', '<th scope="col"'))
    wide = [attributes for tag, attributes in _Tags(html).tags if (attributes.get("class") or "").startswith("wide")]
    assert len(wide) == 6
    assert all(one["tabindex"] == "0" and one["role"] == "region" and one["aria-label"] for one in wide)


def test_recall_intervals_and_confusion_table() -> None:
    text = _Tags(evaluation_page(PAGE)).text
    # Wilson's 95 % intervals of 700 of 1,000 and of 7 of 10.
    assert "0.800 0.671 to 0.728" in text
    assert "0.600 0.397 to 0.892" in text
    assert "happy 700 300 1,000 sad 3 7 10" in text


def test_dark_mode_defines_the_same_variables() -> None:
    html = evaluation_page(PAGE)
    light, dark = (set(re.findall(r"--\w+", part)) for part in re.findall(r":root \{(.*?)\}", html, re.DOTALL)[:2])
    assert light == dark
    used = set(re.findall(r"var\((--\w+)\)", html))
    assert used <= light
