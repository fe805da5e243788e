import shutil
from pathlib import Path
from typing import Annotated, ClassVar

import pytest

from fercli.artifacts import artifact_input, input_of
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file
from fercli.errors import UsageError
from fercli.progress import SILENT
from fercli.stages.base import Cli, StageConfig, resolve_pack
from tests.helpers.datasets import names
from tests.helpers.packs import make_pack


class _Config(StageConfig):
    stage: ClassVar[str] = "stage"
    kind: ClassVar[str] = "dataset"

    size: int = 48
    workers: Annotated[int, Cli(in_key=False)] = 2
    turns: Annotated[bool, Cli(added=True)] = False


def test_added_option_is_not_in_the_key_at_its_default() -> None:
    assert _Config(workers=7).options() == {"size": 48}
    assert _Config(turns=True).options() == {"size": 48, "turns": True}


def test_pack_of_a_run_is_not_that_of_its_initial_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packs = [make_pack(tmp_path / name, {"test": 7}, side=side) for name, side in (("before", 16), ("own", 24))]
    for name, pack in zip(("first", "second"), packs, strict=True):
        inputs = [artifact_input("pack", pack)]
        if name == "second":
            weights = tmp_path / "first" / "best" / "model.safetensors"
            inputs.append(input_of("weights", weights, "weights", digest_file(weights)))
        with build(tmp_path / name, "run", "train", options={}, inputs=inputs) as builder:
            with build(builder.folder / "best", "checkpoint", "train", options={}, inputs=inputs[:1]) as checkpoint:
                (checkpoint.folder / "model.safetensors").write_text(name)
                checkpoint.finish(digest=name)
            builder.finish(digest=name)
    assert names(tmp_path / "second") == ["artifact.json", "best"]
    assert resolve_pack(None, tmp_path / "second" / "best", SILENT).path.name == "own"
    shutil.rmtree(tmp_path / "own")
    with pytest.raises(UsageError, match="no pack given"):
        resolve_pack(None, tmp_path / "second" / "best", SILENT)


def test_outputs_are_not_on_the_hub() -> None:
    from fercli.stages.pack.config import PackConfig

    with pytest.raises(UsageError, match=r"pack: hf://… is on the hub; write to a folder, and publish it with"):
        PackConfig.of(dataset="faces", out="hf://anna/faces")
