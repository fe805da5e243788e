"""`fer ensemble` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fercli.artifacts import Artifact
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack

Fer = Callable[..., Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Artifact]:
    folder = tmp_path_factory.mktemp("runs")
    pack = make_pack(folder / "pack")
    return [make_run(folder / f"run-{seed}[b]", pack, seed=seed) for seed in (0, 1)]


@pytest.mark.slow
def test_text_and_json_output(fer: Fer, runs: list[Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = fer("ensemble", runs[0].path, runs[1].path, "--out", "ensemble", "--device=cpu", "--json", "-q")
    assert (result.code, result.err) == (0, "")
    summary = json.loads(result.out)
    assert summary.items() >= json.loads((tmp_path / "ensemble" / "metrics.json").read_text()).items()
    assert (summary["method"], summary["split"], summary["n"]) == ("mean", "test", 21)
    monkeypatch.setenv("COLUMNS", "100")
    shown = fer("ensemble", runs[0].path, runs[1].path, "--out", "ensemble", "--device=cpu")
    assert shown.code == 0
    assert shown.out.startswith("up to date")
    assert f"accuracy {summary['accuracy']:.2%}" in shown.out
    for member in summary["members"]:
        (line,) = [line for line in shown.out.splitlines() if line.startswith(member["checkpoint"])]
        assert line.split()[1:3] == ["quick", "0.500"]
        assert f"{member['accuracy']:.2%}" in line
    assert f"against {summary['mcnemar']['best_member']}, the best by validation accuracy" in shown.out
    assert f"p = {summary['mcnemar']['p_value']:.2g}" in shown.out
    named = fer("ensemble", runs[0].path, runs[1].path, "--method", "vote", "--device=cpu", "-q", "--json")
    assert named.code == 0
    assert len(list((tmp_path / "artifacts").glob("ensemble-*"))) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["RUN"], 2, "fer ensemble: checkpoints: an ensemble needs at least two members; add another"),
        (["RUN", "RUN"], 2, "are the same model; name each once"),
        (["RUN", "nothing"], 1, "nothing: no such path"),
        (["RUN", "OTHER", "--pack", "nothing"], 1, "nothing: no such path"),
        (["RUN", "OTHER", "--pack", "RUN"], 1, "expected a pack"),
        (["RUN", "OTHER", "--method", "median"], 2, "method: input should be 'mean', 'weighted' or 'vote'"),
        (["RUN", "OTHER", "--split", "validation", "--select"], 2, "split: weights and members are selected"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(
    arguments: list[str], code: int, message: str, fer: Fer, runs: list[Artifact], tmp_path: Path
) -> None:
    paths = {"RUN": runs[0].path, "OTHER": runs[1].path}
    result = fer("ensemble", *(paths.get(one, one) for one in arguments), "--out", tmp_path / "out", "-q")
    assert (result.code, result.out, len(result.lines)) == (code, "", 1)
    assert message in result.err
    assert not (tmp_path / "out").exists()


def test_no_checkpoints_is_a_usage_error(fer: Fer) -> None:
    assert fer("ensemble").code == 2
