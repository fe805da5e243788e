"""The options of training a run; their defaults come from the model's recipe. Stages that train runs share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from fercli.artifacts import Input
from fercli.hub.address import is_address
from fercli.models.probes import probe_name
from fercli.models.registry import find_declared, recipe_of
from fercli.models.spec import ModelSpec
from fercli.recipes import PhaseSettings, Settings, recipe_settings
from fercli.recipes.phase_settings import Added
from fercli.stages.base import Cli
from fercli.stages.model_options import model_options
from fercli.stages.options import Device, Seed, WeightsEmotions, path_text_or_none

DEFAULT_MODEL = "quick"
Precision = Literal["auto", "float32", "bfloat16", "float16"]
OF_PIXELS = (
    "rotation", "scale", "shift", "brightness", "contrast", "erasing", "mixup", "cutmix", "attention_consistency",
    "progressive_sizes", "freeze",
)  # fmt: skip
"""Settings that need the pixels of a face, or the gradients of a backbone."""
if TYPE_CHECKING:
    from fercli.stages.model_options import ModelOptions as Base
else:
    Base = model_options()


def trains_on_features(model: str) -> bool:
    """Return whether the training of a model runs on features, for which the settings of `OF_PIXELS` mean nothing."""
    spec = find_declared(model)
    return spec is not None and spec.on_features


class TrainOptions(Settings, Base):
    """The options of training a run, apart from its pack and output path."""

    stage: ClassVar[str] = "train"
    kind: ClassVar[str] = "run"

    model: Annotated[str, Field(description="A model of fer models.")] = DEFAULT_MODEL
    encoder: Annotated[
        str | None,
        Field(description="probe: its frozen encoder, any model of timm, as timm/NAME (then the model is probe/NAME)."),
        Cli(metavar="timm/NAME", added=True),
    ] = None
    reduced: Annotated[
        bool,
        Field(
            description="Use a small variant of the model at a small input size, to try out a pipeline: an epoch takes "
            "seconds on hundreds of faces, up to two minutes on FER2013 (all phases of the recipe then have as many "
            "epochs as the first)."
        ),
    ] = False
    input_size: Annotated[
        int | None, Field(ge=8, le=1024, description="Input size, pixels (default: the model's own).")
    ] = None
    weights: Annotated[
        str | None,
        PlainValidator(path_text_or_none),
        Field(
            description="Weights to start from: a checkpoint, a run, a model of fer models --pretrained, a "
            ".safetensors or .pt file, an address on the hub, hf://OWNER/NAME, or imagenet."
        ),
        Cli(metavar="FILE|imagenet", in_key=False, path=True),
    ] = None
    weights_emotions: WeightsEmotions = None
    targets: Annotated[
        Literal["votes", "labels", "both"] | None,
        Field(
            description="Training targets; validation is always on labels (default: votes if the pack has them); both: "
            "the emotions as by default, and valence and arousal as a second task"
        ),
    ] = None
    precision: Annotated[
        Precision,
        Field(description="Training precision (float16 scales the loss); auto: the fastest here."),
    ] = "auto"
    compile: Annotated[bool, Field(description="Use torch.compile: slow start, faster steps.")] = False
    accumulate: Annotated[
        int,
        Field(
            ge=1,
            le=4096,
            description="Process each batch in N parts, one after another, where memory does not hold it whole; batch "
            "norm then uses one part at a time.",
        ),
        Cli(metavar="N", added=True),
    ] = 1
    local_batch_norm: Annotated[
        bool,
        Field(
            description="On several devices, batch norm uses each device's own faces instead of the whole batch: "
            "faster, but the result depends on the number of devices."
        ),
        Cli(added=True),
    ] = False
    seed: Seed = 0
    device: Device = "auto"

    @model_validator(mode="before")
    @classmethod
    def _from_recipe(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in missing options from the model's recipe."""
        name = str(values.get("model") or DEFAULT_MODEL)
        if values.get("encoder") is not None:
            name = probe_name(name, str(values["encoder"]))
            values = {**values, "model": name, "encoder": None}
        recipe = recipe_settings(recipe_of(name, from_call=True))
        if values.get("input_size") is not None or values.get("reduced"):
            recipe.pop("progressive_sizes", None)  # they end at the model's default input size
        if values.get("epochs") is not None and recipe.get("snapshots") != "cycles":
            recipe.pop("snapshots", None)  # they refer to the recipe's epochs
        if values.get("reduced"):  # a trial run, so its later phases are short too
            epochs = values.get("epochs") or recipe["epochs"]
            phases: list[Mapping[str, Any]] = recipe.get("phase", [])
            recipe["phase"] = [{**phase, "epochs": epochs} if "epochs" in phase else phase for phase in phases]
        return {**recipe, **{k: v for k, v in values.items() if v is not None}}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weights_emotions is not None and self.weights in (None, "imagenet"):
            raise ValueError("weights-emotions: describes the classifier in weights FILE; give weights too")
        if self.compile and any(phase.attention_consistency for phase in self.phases):
            raise ValueError("attention-consistency: reads a feature map inside the model; use it without compile")
        if spec := find_declared(self.model):  # otherwise it is looked up when the stage runs
            self.check_backbone(spec)
            if trains_on_features(self.model):
                self._check_features()
        return self

    def _check_features(self) -> None:
        """Raise ValueError where a phase changes pixels or the encoder, of which training on features knows nothing."""
        plain = PhaseSettings(lr=1)
        for phase in self.phases:
            for name in OF_PIXELS:
                if getattr(phase, name) != getattr(plain, name):
                    raise ValueError(
                        f"{name.replace('_', '-')}: model {self.model} trains its head on features that are computed "
                        "once, of each face and its mirror image; omit the option"
                    )

    def _in_key(self, name: str, default: Any) -> bool:
        added = any(isinstance(item, Added) for item in type(self).model_fields[name].metadata)
        return super()._in_key(name, default) and not (added and getattr(self, name) == default)

    def pinned(self, inputs: Sequence[Input]) -> Self:
        """Return the options with weights from the hub at the commit that `inputs` record, in case its branch moves."""
        found = [one.path for one in inputs if one.name == "weights" and is_address(one.path)]
        return self.model_copy(update={"weights": found[0]}) if found else self

    def check_backbone(self, spec: ModelSpec) -> None:
        """Raise ValueError where a phase freezes a backbone that the model does not have."""
        if not spec.backbone and any("backbone" in phase.freeze for phase in self.phases):
            raise ValueError(f"freeze: model {self.model} has no backbone to freeze")
