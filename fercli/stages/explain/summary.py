"""What explain reports: of heat maps, or of the weights of a classifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fercli.artifacts.summary import Summary


class HeatFigures(Summary):
    """Mean shares of the heat, and of the area, in the regions of the emotion's action units; None where unknown."""

    faces: int
    without_heat: int
    measured: int
    heat_in_regions: float | None
    area_of_regions: float | None
    ratio: float | None


class HeatmapSummary(HeatFigures):
    """What `fer explain --json` prints of heat maps; `emotions` holds the figures by explained emotion."""

    method: Literal["gradcam"]
    model: str
    layer: str
    explained: str
    emotions: dict[str, HeatFigures]
    predicted: dict[str, int]
    pictures: int
    skipped: dict[str, int]


class FeatureShare(Summary):
    """A feature's share of the weight."""

    feature: int
    share: float


class TopFeatures(Summary):
    """The strongest features, and the fewest that hold half of the weight."""

    strongest: list[FeatureShare]
    half_in: int


class WeightsSummary(Summary):
    """What `fer explain --method weights --json` prints; `overall` (`all`) is the mean over the emotions."""

    method: Literal["weights"]
    model: str
    layers: list[str]
    features: int
    even_share: float
    emotions: dict[str, TopFeatures]
    overall: TopFeatures = Field(alias="all")
