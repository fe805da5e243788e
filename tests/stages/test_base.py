from typing import Annotated, ClassVar

from fercli.stages.base import Cli, StageConfig


class _Config(StageConfig):
    stage: ClassVar[str] = "stage"
    kind: ClassVar[str] = "dataset"

    size: int = 48
    workers: Annotated[int, Cli(counts=False)] = 2
    turns: Annotated[bool, Cli(added=True)] = False


def test_an_added_option_is_left_out_at_its_default_so_that_older_artifacts_stay_up_to_date() -> None:
    assert _Config(workers=7).options() == {"size": 48}
    assert _Config(turns=True).options() == {"size": 48, "turns": True}
