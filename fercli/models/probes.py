"""The probe of a usual encoder, and the names of those of others. Imported without torch."""

from __future__ import annotations

from fercli.errors import UsageError
from fercli.hub.address import is_address
from fercli.models.spec import TIMM, ModelSpec

DEFAULT_ENCODER = "vit_small_patch14_dinov2"
PROBE = ModelSpec(
    name="probe",
    family="probe",
    paper="MAE",
    build="fercli.models.probe:build",
    arguments={"encoder": DEFAULT_ENCODER},
    parameters=22_058_887,
    input_size=224,
    imagenet=DEFAULT_ENCODER,
    imagenet_prefix="encoder.",
    rename="fercli.models.encoder_weights:rename_default",
    backbone=("encoder.",),
    options={"head": ("linear", "mlp")},
    reduced={"encoder": "test_vit"},
    reduced_size=64,
    on_features=True,
)
PREFIX = f"{PROBE.name}/"
"""Before the name of an encoder of timm, in the name of its probe."""


def probe_name(model: str, encoder: str) -> str:
    """Return the name of the model that the options `model` and `encoder` describe together.

    >>> probe_name("probe", "timm/vit_base_patch16_224.mae")
    'probe/vit_base_patch16_224.mae'

    Raises:
        UsageError: the model has no encoder to choose, or the encoder is an address.
    """
    if is_address(encoder):
        raise UsageError(f"encoder: name its architecture, timm/NAME; its weights are given by --weights {encoder}")
    name = f"{PREFIX}{encoder.removeprefix(TIMM)}"
    if model not in (PROBE.name, name):
        raise UsageError(f"encoder: describes model {PROBE.name}, not {model}")
    return name
