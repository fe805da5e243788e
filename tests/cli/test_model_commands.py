"""`fer train`, `fer evaluate`, `fer show` and `fer models` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fercli.artifacts import Artifact, open_artifact
from fercli.models.naming import BACKBONES
from fercli.models.registry import MODELS
from fercli.models.table import TABLE
from fercli.recipes import load_recipe
from tests.helpers.datasets import python
from tests.helpers.packs import QUICK, make_pack

Fer = Callable[..., Any]
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in {**QUICK, "epochs": 1}.items()]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_pack(tmp_path_factory.mktemp("pack") / "pack")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_train_evaluate_and_show(fer: Fer, pack: Artifact, folder: Path) -> None:
    trained = fer("train", pack.path, "run", *FLAGS)
    assert trained.code == 0, trained.err
    assert "validation accuracy" in trained.out
    assert "test" not in trained.out.replace(str(folder), "")
    assert any(line.startswith("quick, ") for line in trained.lines)
    assert "\x1b" not in trained.out + trained.err

    again = fer("train", pack.path, "run", *FLAGS, "--json")
    assert again.code == 0
    run = open_artifact(folder / "run")
    found = json.loads(again.out)
    assert (found["path"], found["kind"], found["up_to_date"]) == (str(run.path), "run", True)
    assert found["training_seconds"] == run.summary["seconds"]
    assert found.items() >= {key: value for key, value in run.summary.items() if key != "seconds"}.items()

    evaluated = fer("evaluate", "run", pack.path, "evaluation", "--device=cpu", "--json", "--tta", "flip")
    assert evaluated.code == 0, evaluated.err
    summary = json.loads(evaluated.out)
    assert summary.items() >= json.loads((folder / "evaluation" / "metrics.json").read_text()).items()
    assert summary["tta"] == "flip"
    assert summary["without_leaks"] is None
    shown = fer("evaluate", "run", pack.path, "evaluation", "--device=cpu", "--tta", "flip")
    assert shown.code == 0
    assert shown.out.startswith(f"up to date {folder / 'evaluation'}\n")
    low, high = summary["accuracy_interval"]
    assert f"accuracy {summary['accuracy']:.2%} [{low:.2%}, {high:.2%}]" in shown.out

    shown = fer("show", "evaluation", "--json")
    assert shown.code == 0
    lineage = [(entry["kind"], entry["state"]) for entry in json.loads(shown.out)["lineage"]]
    assert ("checkpoint", "there") in lineage
    assert ("pack", "there") in lineage
    shown = fer("show", "run")
    assert shown.code == 0
    assert shown.out.startswith("run run\nquick, seed 0, epoch 1 of 1 ")
    assert "\ncreated by fer train " in shown.out
    assert "lineage of run" in shown.out


@pytest.mark.slow
def test_quiet_prints_only_the_result(fer: Fer, pack: Artifact, folder: Path) -> None:
    result = fer("train", pack.path, "run", *FLAGS, "--quiet")
    assert (result.code, result.err) == (0, "")
    assert result.out


@pytest.mark.slow
def test_default_paths(fer: Fer, pack: Artifact, folder: Path) -> None:
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "pack-small").symlink_to(pack.path)
    result = fer("train", *FLAGS)
    assert result.code == 0, result.err
    assert "using artifacts/pack-small, the newest pack under artifacts/" in result.err
    (run,) = (folder / "artifacts").glob("train-*")
    assert f"writing artifacts/{run.name}" in result.err
    result = fer("evaluate", "--device=cpu")
    assert result.code == 0, result.err
    assert f"using artifacts/{run.name}, the newest run under artifacts/" in result.err
    assert len(list((folder / "artifacts").glob("evaluate-*"))) == 1


# --- errors ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "nothing"], 1, "fer train: nothing: no such path"),
        (["train"], 2, "fer train: no pack given, and none found under artifacts/"),
        (["evaluate"], 2, "fer evaluate: no run or checkpoint given, and none found under artifacts/"),
        (["evaluate", "nothing"], 1, "fer evaluate: nothing: no such path"),
        (["show", "nothing"], 1, "fer show: nothing: no such path"),
        (
            ["train", "PACK", "run", "--model", "resnet81"],
            2,
            "fer train: no model 'resnet81'; did you mean resnet18",
        ),
        (["train", "PACK", "run", "--model", "xyz"], 2, "fer train: no model 'xyz'; fer models lists all"),
        (["train", "PACK", "run", "--epochs", "0"], 2, "fer train: epochs: input should be greater"),
        (["train", "PACK", "run", "--optimizer", "sgdd"], 2, "fer train: optimizer: input should be 'sgd'"),
        (["train", "PACK", "run", "--optimizer", "adm"], 2, "'radam', 'ranger-adabelief' or 'muon' (given: 'adm')"),
        (["train", "PACK", "run", "--schedule", "foo"], 2, "fer train: schedule: input should be 'constant', 'step', "),
        (["train", "PACK", "run", "--freeze", "foo"], 2, "fer train: freeze: no part 'foo'; there are backbone, norms"),
        (["train", "PACK", "run", "--dropout", "0.5"], 2, "fer train: dropout: the model has no dropout layers"),
        (["train", "PACK", "run", "--phase", "epochs=abc"], 2, "fer train: phase: phase 2: epochs: input should be"),
        (
            ["train", "PACK", "run", "--phase", "lr=1e-4", "--phase", "nosuch=1"],
            2,
            "phase: phase 3: no option 'nosuch'",
        ),
        (["train", "PACK", "run", "--snapshots", "0,-3"], 2, "fer train: snapshots: epochs from 1, such as"),
        (["train", "PACK", "run", "--mixup", "-1"], 2, "fer train: mixup: input should be greater"),
        (["train", "PACK", "run", "--precision", "half"], 2, "fer train: precision: input should be 'auto', "),
        (["train", "PACK", "run", "--device", "gpu"], 2, "fer train: device: "),
        (
            ["train", "PACK", "run", "--progressive-sizes", "32"],
            2,
            "progressive-sizes: sides from 8 to 1024",
        ),
        (
            ["train", "PACK", "run", "--progressive-sizes", "32=0.5"],
            2,
            "progressive-sizes: sides from 8 to 1024",
        ),
        (["train", "PACK", "run", "--attention-at", "layer1"], 2, "fer train: model quick has no option"),
        (["train", "PACK", "run", "--weights", "x.pt"], 1, "fer train: x.pt: no such weights file"),
        (["evaluate", "PACK", "PACK", "out"], 1, "is a pack; expected a checkpoint or run"),
        (["evaluate", "x", "PACK", "out", "--split", "half"], 2, "fer evaluate: split: input should be "),
    ],
)
def test_errors_are_one_line_with_an_exit_code(
    arguments: list[str], code: int, message: str, fer: Fer, pack: Artifact, folder: Path
) -> None:
    result = fer(*(pack.path if argument == "PACK" else argument for argument in arguments))
    assert result.code == code
    assert result.out == ""
    assert len(result.lines) == 1
    assert message in result.err
    assert not (folder / "run").exists()
    assert not (folder / "out").exists()


@pytest.mark.parametrize("arguments", [["--epochs", "many"], ["--no-such-option"], ["--json=maybe"]])
def test_unparsable_options_are_usage_errors(arguments: list[str], fer: Fer, pack: Artifact, folder: Path) -> None:
    assert fer("train", pack.path, "run", *arguments).code == 2


@pytest.mark.slow
def test_debug_shows_the_traceback(pack: Artifact, folder: Path) -> None:
    code = "from fercli.cli.main import main; main()"
    process = python(code, "show", "nothing", "--debug", cwd=folder)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" in err
    assert "DataError" in err


# --- options from a file ---


@pytest.mark.slow
def test_command_line_over_file_over_recipe(fer: Fer, pack: Artifact, folder: Path) -> None:
    (folder / "options.toml").write_text(
        "seed = 4\n[train]\nepochs = 2\nlr = 0.025\nbatch-size = 9\n"
        'progressive-sizes = "12=0.5,16=0.5"\n[clean]\nnear = true\n'
    )
    flags = [flag for flag in FLAGS if not flag.startswith(("--epochs", "--batch-size"))]
    result = fer("train", pack.path, "run", "--config", "options.toml", *flags, "--epochs", "1")
    assert result.code == 0, result.err
    options = open_artifact(folder / "run").manifest.options
    assert (options["seed"], options["lr"], options["batch_size"]) == (4, 0.025, 9)
    assert options["progressive_sizes"] == [[12, 0.5], [16, 0.5]]
    assert options["epochs"] == 1  # from the command line
    assert options["weight_decay"] == load_recipe("quick").train.weight_decay  # from the recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3\n", "no option 'epoch'; did you mean epochs"),
        ("[train]\nepoch = 3\n", "no option 'epoch'; did you mean epochs"),
        ("json = true\n", "no option 'json'"),
        ("epochs = 'many'\n", "epochs: input should be a valid integer"),
        ("epochs = \n", "--config options.toml: "),
        ("train = 3\n", "--config options.toml: train: expected a table"),
    ],
)
def test_invalid_files_are_rejected(text: str, message: str, fer: Fer, pack: Artifact, folder: Path) -> None:
    (folder / "options.toml").write_text(text)
    result = fer("train", pack.path, "run", "--config", "options.toml")
    assert result.code == 2
    assert len(result.lines) == 1
    assert message in result.err
    assert not (folder / "run").exists()


def test_missing_file_is_a_usage_error(fer: Fer, pack: Artifact, folder: Path) -> None:
    result = fer("train", pack.path, "run", "--config", "nowhere.toml")
    assert (result.code, result.lines) == (2, ["fer train: --config nowhere.toml: No such file or directory"])


# --- models ---


@pytest.mark.slow
def test_models_as_json_without_torch() -> None:
    code = "import sys\nfrom fercli.cli.main import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"
    process = python(code, "models", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    rows = json.loads(out)
    assert [row["name"] for row in rows] == [spec.name for spec in MODELS]
    for row, spec in zip(rows, MODELS, strict=True):
        assert list(row) == [
            "name", "family", "paper", "parameters", "input_size", "smallest", "channels", "imagenet", "reduced",
            "recipe", "settings", "options", "claims"
        ]  # fmt: skip
        assert (row["family"], row["paper"]) == (spec.family, spec.paper)
        assert (row["parameters"], row["input_size"]) == (spec.parameters, spec.input_size)
        claims = load_recipe(spec.recipe_file).claims_of(spec.name)
        assert row["claims"] == [claim.model_dump() for claim in claims]


def test_models_as_a_table(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    result = fer("models")
    assert (result.code, result.err) == (0, "")
    named, combined, timm = result.out.split("\n\n")
    header, *rows = named.splitlines()
    assert header.split() == ["model", "parameters", "px", "paper", "claim"]
    for row, spec in zip(rows, TABLE, strict=True):
        assert row.split()[0] == spec.name
        assert f"{spec.parameters:,}" in row
    rule, header, *rows = combined.splitlines()
    assert rule.startswith("<backbone>[-<attention>][-<activation>], such as ")
    assert header.split()[:4] == ["backbone", "parameters", "px", "attention"]
    for row, backbone in zip(rows, BACKBONES, strict=True):
        assert row.split()[0] == backbone.name
        assert ("sa" in row.split()) == backbone.staged
    assert timm.startswith("timm/<name>")


def test_models_fit_a_terminal_of_80_columns(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = fer("models").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert {spec.name for spec in TABLE} <= {line.partition(" ")[0] for line in lines}  # no name is truncated
    assert sum(line.startswith(("  ", "   ")) for line in lines) == 0  # no row is wrapped


def test_details_of_named_models(fer: Fer) -> None:
    result = fer("models", "resemotenet", "emotionnet")
    assert (result.code, result.err) == (0, "")
    first, second = (" ".join(part.split()) for part in result.out.split("\n\n"))
    for claim in load_recipe("resemotenet").claims_of("resemotenet"):
        assert f"{claim.accuracy:g} % on {claim.dataset}" in first
        assert claim.note in first
    assert "recipe resemotenet.toml" in first
    assert "batch-size 16" in first
    assert "class-weights yes" in first
    assert "--attention-at layer1, stem, layer2, layer3, layer4" in second
    assert "--weights imagenet: timm's resnet18" in second
    (row,) = json.loads(fer("models", "emotionnet", "--json").out)
    assert row["name"] == "emotionnet"
    result = fer("models", "emotionet")
    assert result.code == 2
    assert result.lines[0].startswith("fer models: no model 'emotionet'; did you mean emotionnet or ")


@pytest.mark.slow
def test_show_lists_a_folder_of_artifacts(fer: Fer, pack: Artifact, folder: Path) -> None:
    assert fer("train", pack.path, "artifacts/run", *FLAGS).code == 0
    assert fer("evaluate", "artifacts/run", pack.path, "artifacts/evaluation", "--device=cpu").code == 0
    (folder / "artifacts" / "letters").mkdir()
    shown = fer("show")
    assert shown.code == 0, shown.err
    assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [["run", "run"], ["evaluation", "evaluation"]]
    run, evaluation = json.loads(fer("show", "artifacts", "--json").out)
    assert run["split"] == "validation"
    assert run["images"] == 42
    summary = open_artifact(folder / "artifacts" / "evaluation").summary
    assert evaluation["split"] == "test"
    assert evaluation["accuracy"] == summary["accuracy"]
    assert evaluation["accuracy_interval"] == summary["accuracy_interval"]
    assert fer("show", "artifacts/letters").code == 1


@pytest.mark.parametrize("command", ["train", "evaluate", "show", "models"])
def test_help_has_an_example(command: str, fer: Fer) -> None:
    result = fer(command, "--help")
    assert result.code == 0
    assert f"fer {command}" in result.out.split("Example:")[1]
