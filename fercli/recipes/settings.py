"""Settings of a whole training. Imported without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, model_validator

from fercli.recipes.phase_settings import PhaseSettings
from fercli.recipes.phases import Phase, parse_phases
from fercli.recipes.values import Snapshots


def _parse_phases(value: Any, info: ValidationInfo) -> tuple[Phase, ...]:
    """Parse the later phases, given the first phase's settings, which are validated before."""
    own = {name: info.data[name] for name in PhaseSettings.model_fields if name in info.data}
    if len(own) < len(PhaseSettings.model_fields):
        return ()  # one of them is invalid, which is reported on its own
    return parse_phases(value, PhaseSettings.model_construct(**own))


class Settings(PhaseSettings):
    """How a model is trained: the settings of the first phase, the later phases, and what they have in common."""

    select: Annotated[
        Literal["accuracy", "macro_f1", "loss"], Field(description="Validation metric that selects the best epoch.")
    ] = "accuracy"
    phase: Annotated[
        tuple[Phase, ...],
        BeforeValidator(_parse_phases, json_schema_input_type=tuple[str | Mapping[str, Any], ...]),
        PlainSerializer(lambda phases: [phase.values() for phase in phases]),
        Field(
            description="A further training phase, from the best epoch so far, such as epochs=9,lr=1e-5; it inherits "
            "all other options from the previous phase. Repeat it for more phases. It replaces those of the recipe; "
            "none removes them. Other flags, such as --epochs, set the first phase."
        ),
    ] = ()
    snapshots: Annotated[
        Snapshots,
        Field(
            description="Epochs whose weights are also saved, for fer ensemble, such as 30,40,50; or cycles: the end "
            "of each cycle of cyclic and warm-restarts; or none."
        ),
    ] = frozenset()

    @property
    def phases(self) -> tuple[PhaseSettings, ...]:
        """The settings of each phase of the training, in order."""
        return (self, *(phase.settings for phase in self.phase))

    @model_validator(mode="after")
    def _check_snapshots(self) -> Self:
        last = sum(phase.epochs for phase in self.phases)
        if self.snapshots == "cycles":
            if any(phase.cycle_ends() for phase in self.phases):
                return self
            if all(phase.schedule not in ("cyclic", "warm-restarts") for phase in self.phases):
                raise ValueError("snapshots: cycles are those of the schedules cyclic and warm-restarts; name epochs")
            raise ValueError(f"snapshots: no cycle of {self.cycle} epochs ends within the {last} of the training")
        if self.snapshots and max(self.snapshots) > last:
            raise ValueError(f"snapshots: epoch {max(self.snapshots)} is beyond the last one, {last}")
        return self
