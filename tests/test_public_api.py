"""The public API: all options are named keywords, type checkers reject wrong ones, and summaries are typed."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fercli
from fercli import _stubs, results
from fercli._functions import FUNCTIONS
from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.summary import Summary
from fercli.errors import DataError, FerError, UsageError
from fercli.recipes import Settings
from fercli.results import result_of
from fercli.summaries import SUMMARIES
from tests.helpers.datasets import face, make_dataset
from tests.helpers.evidence import make_cross_validation, make_study
from tests.helpers.packs import QUICK

each_function = pytest.mark.parametrize("name", sorted(FUNCTIONS))

GOOD = """
import fercli
from pathlib import Path
from typing_extensions import assert_type
from fercli.results import Dataset, Plan, Report, Run
from fercli.stages.predict.predictions import Predictions
from fercli.stages.predict.stage import PredictionStream

assert_type(fercli.train("p", Path("run"), model="quick", epochs=3, lr=None), Run)
assert_type(fercli.train("p").summary.validation.accuracy, float)
assert_type(fercli.predict("run", "a.jpg"), Predictions)
assert_type(fercli.predict("run", "webcam", stream=True), PredictionStream)
assert_type(fercli.balance(target="fer2013", policy=500), Plan)
assert_type(fercli.clean("d", report_only=True), Report)
assert_type(fercli.detect("raw", progress=False).summary.faces, int)
assert_type(fercli.evaluate("run", weights=None).summary.per_class["sad"].recall, float | None)
assert_type(fercli.ensemble(["a", Path("b")]).summary.members[0].weight, float)
assert_type(fercli.explain("run", "faces").summary.layer, str)
assert_type(fercli.explain("run", method="weights").summary.features, int)
fercli.balance("d", splits=["train", "test"])
"""
BAD = {
    'fercli.train("p", modle="quick")': "call-arg",
    'fercli.train("p", epochs="three")': "arg-type",
    'fercli.evaluate("run", split="tests")': "arg-type",
    'fercli.train("p").summary.acuracy': "attr-defined",
    "fercli.detect()": "call-arg",
    "fercli.trian": "attr-defined",
}


@each_function
def test_every_option_is_in_the_signature_and_the_docstring(name: str) -> None:
    function = getattr(fercli, name)
    config = FUNCTIONS[name].load()
    signature = inspect.signature(function)
    assert inspect.isfunction(function)
    assert set(signature.parameters) - {"progress", "stream"} == set(config.model_fields)
    for option, field in config.model_fields.items():
        default = signature.parameters[option].default
        if issubclass(config, Settings) and option in Settings.model_fields:
            assert default is None
        else:
            assert default == (inspect.Parameter.empty if field.is_required() else field.get_default())
        assert f"\n    {option}: " in (function.__doc__ or "")
    assert pickle.loads(pickle.dumps(function)) is function


def test_stub_is_up_to_date() -> None:
    assert _stubs.FILE.read_text("utf-8") == _stubs.stub(), "run python -m fercli._stubs"


def test_public_names() -> None:
    assert set(fercli.__all__) == {*FUNCTIONS, "load"}
    kinds = {cls.__name__ for cls in results.KINDS.values()}
    types = {name for name in dir(fercli) if getattr(getattr(fercli, name), "__module__", "").startswith("fercli.")}
    assert types - set(fercli.__all__) == {
        *kinds, "Result", "Predictions", "PredictionStream", "Model", "PredictedFace", "PredictedFaces"
    }  # fmt: skip
    assert set(dir(fercli)) >= {*fercli.__all__, "Run", "Predictions"}
    assert fercli.Run is results.Run
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        fercli.trian  # noqa: B018


@pytest.mark.slow
def test_mypy_rejects_wrong_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mypy import api

    (tmp_path / "calls.py").write_text(GOOD + "\n".join(BAD) + "\n")
    first = len(GOOD.splitlines()) + 1
    root = _stubs.FILE.parents[1]
    monkeypatch.setenv("MYPYPATH", str(root))
    # The repository's cache: without it mypy would analyse all of torch and numpy.
    options = ["--config-file", str(root / "pyproject.toml"), "--cache-dir", str(root / ".mypy_cache")]
    out, err, _ = api.run([*options, "--no-error-summary", str(tmp_path / "calls.py")])
    assert err == ""
    errors = {}
    for line in out.splitlines():
        if ": error: " in line:
            errors.setdefault(int(line.split(":")[1]), line)
    assert sorted(errors) == list(range(first, first + len(BAD))), out
    for number, code in enumerate(BAD.values()):
        assert code in errors[first + number] or "call-overload" in errors[first + number]


def test_results_are_accepted_as_inputs(tmp_path: Path) -> None:
    photographs = fercli.sample(tmp_path / "photographs", images=21, workers=0)
    faces = fercli.detect(photographs.path, tmp_path / "faces", detector="haar", workers=0)
    assert fercli.detect(photographs, tmp_path / "faces", detector="haar", workers=0).up_to_date
    assert repr(faces) == f"Dataset({str(tmp_path / 'faces')!r})"
    with pytest.raises(FerError, match="is a dataset; expected a checkpoint or run"):
        fercli.ensemble([faces, tmp_path / "none"], tmp_path / "ensemble")


def test_wrong_calls_raise_helpful_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="modle"):
        fercli.train(tmp_path, modle="quick")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"detect\(\): missing a required argument: 'photographs'"):
        fercli.detect()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"train\(\): too many positional"):
        fercli.train(1, 2, 3)  # type: ignore[call-arg, arg-type]
    with pytest.raises(TypeError, match=r"train\(\): multiple values for argument 'pack'"):
        fercli.train("a", pack="b")  # type: ignore[misc]


def test_importing_fercli_imports_no_stage() -> None:
    code = "import fercli, sys; print(*[m for m in sys.modules if m.startswith(('fercli.', 'pydantic'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fercli._version"]


# --- results ---


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("made")
    images = {
        f"{split}/{emotion}/0.png": face(7 * s + e, 16)
        for s, split in enumerate(("train", "validation", "test"))
        for e, emotion in enumerate(("happy", "sad", "neutral"))
    }
    data = make_dataset(home / "dataset", images)
    pack = fercli.pack(data.path, home / "pack")
    run = fercli.train(pack.path, home / "run", **{**QUICK, "epochs": 1})
    other = fercli.train(pack.path, home / "other", **{**QUICK, "epochs": 1}, seed=1)
    return {
        "sample": fercli.sample(home / "photographs", images=21, workers=0),
        "clean": fercli.clean(data.path, home / "cleaned"),
        "report": fercli.clean(data.path, home / "report", report_only=True),
        "plan": fercli.balance(target="fer2013", policy=500, out=home / "plan"),
        "balance": fercli.balance(data.path, home / "balanced", policy=2),
        "pack": pack,
        "train": run,
        "evaluate": fercli.evaluate(run.path, pack.path, home / "evaluation", device="cpu", without_leaks=True),
        "matrix": fercli.matrix([run.path, pack.path], home / "matrix", device="cpu"),
        "export": fercli.export(run.path, home / "export"),
        "ensemble": fercli.ensemble([run.path, other.path], home / "ensemble", device="cpu"),
        "tune": make_study(pack.path, home / "study"),
        "crossvalidate": make_cross_validation(home / "cross"),
        "compare": fercli.compare([run.path, other.path], home / "comparison", device="cpu"),
        "heat": fercli.explain(run.path, pack.path, home / "explanation", split="test", device="cpu"),
        "weights": fercli.explain(run.path, out=home / "weights", method="weights"),
        "import": fercli.import_dataset(data.path, home / "imported"),
        "detect": fercli.detect(home / "photographs", home / "faces", detector="haar", workers=0),
    }


def unknown_keys(value: object, place: str = "") -> list[str]:
    """Return the keys of a summary that its models do not define."""
    if isinstance(value, Summary):
        found = [f"{place}.{key}" for key in value.model_extra or {}]
        return found + [
            k for name in type(value).model_fields for k in unknown_keys(getattr(value, name), f"{place}.{name}")
        ]
    if isinstance(value, dict):
        return [k for key, one in value.items() for k in unknown_keys(one, f"{place}.{key}")]
    return [k for one in value for k in unknown_keys(one, place)] if isinstance(value, list | tuple) else []


@pytest.mark.slow
def test_summaries_are_typed_and_keep_their_json(made: dict[str, Any]) -> None:
    assert {one.manifest.stage for one in made.values()} == set(SUMMARIES)
    for name, one in made.items():
        assert unknown_keys(one.summary) == [], name
        written = json.loads((one.path / "artifact.json").read_text())["summary"]
        assert one.summary == written
        assert dict(one.summary) == written
        assert json.loads(json.dumps(dict(one.summary))) == written


@pytest.mark.slow
def test_results_have_the_type_of_their_kind(made: dict[str, Any]) -> None:
    kinds = {name: type(one).__name__ for name, one in made.items()}
    assert kinds["report"] == "Report"
    assert kinds["plan"] == "Plan"
    assert kinds["clean"] == kinds["balance"] == kinds["detect"] == "Dataset"
    run = made["train"]
    assert run.summary.validation.accuracy == run.summary["validation"]["accuracy"]
    assert run.best.is_dir()
    assert made["ensemble"].summary.members[0].checkpoint == "run"


@pytest.mark.slow
def test_results_have_a_notebook_representation(made: dict[str, Any]) -> None:
    for name, one in made.items():
        html = one._repr_html_()
        assert type(one).__name__ in html
        assert ("data:image/png;base64," in html) == (name not in ("clean", "report", "pack", "import", "export")), name
    assert "n = 3" in made["evaluate"]._repr_html_()
    assert "validation accuracy" in made["train"]._repr_html_()


# --- foreign manifests ---


def foreign(folder: Path, kind: str, stage: str, **fields: Any) -> Artifact:
    folder.mkdir()
    (folder / "artifact.json").write_text(json.dumps({"kind": kind, "stage": stage, **fields}))
    return open_artifact(folder)


def test_invalid_summary_is_a_one_line_error(tmp_path: Path) -> None:
    found = result_of(foreign(tmp_path / "run", "run", "train", summary={"model": ["\n"], "x": 1}))
    with pytest.raises(DataError, match=r"artifact\.json: summary\.model: .*; re-create the artifact$") as caught:
        found.summary  # noqa: B018
    assert "\n" not in str(caught.value)
    assert "re-create the artifact" in found._repr_html_()


def test_later_versions_may_add_keys_and_stages(tmp_path: Path) -> None:
    summary = {"images": {"train": 1}, "emotions": [], "skipped": {}, "later": {"a": 1}}
    known = result_of(foreign(tmp_path / "a", "dataset", "import", summary=summary))
    assert known.summary["later"] == {"a": 1}
    assert "nearly_black" not in known.summary
    unknown = result_of(foreign(tmp_path / "b", "publication", "publish", summary={"best": 1}))
    assert unknown.summary["best"] == unknown.summary.best == 1


def test_untrusted_text_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\x1b[2J"
    found = result_of(foreign(tmp_path / "<b>", "dataset", "import", emotions=[evil], counts={evil: {evil: 1}}))
    html = found._repr_html_()
    assert "<script" not in html
    assert "<b>" not in html
    assert "\x1b" not in html


def test_broken_picture_is_omitted(tmp_path: Path) -> None:
    artifact = foreign(tmp_path / "a", "photographs", "sample")
    (artifact.path / "contact-sheet.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert "<img" not in result_of(artifact)._repr_html_()
