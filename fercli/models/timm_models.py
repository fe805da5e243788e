"""Any classifier of timm, as it is."""

from __future__ import annotations

from fercli.models.spec import ModelSpec


def timm_spec(name: str) -> ModelSpec:
    """Return the entry of timm's model `name`."""
    raise NotImplementedError
