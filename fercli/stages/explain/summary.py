"""Summaries of explain: of heat maps, or of a weight analysis."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fercli.artifacts.summary import Summary


class RegionMetrics(Summary):
    """Mean shares of the heat and of the area within the emotion's action unit regions; None if unknown."""

    faces: int
    without_heat: int
    measured: int
    heat_in_regions: float | None
    area_of_regions: float | None
    ratio: float | None


class HeatmapSummary(Summary):
    """What `fer explain --json` prints of heat maps: the `RegionMetrics` of all faces, and by explained emotion."""

    method: Literal["gradcam"]
    model: str
    layer: str
    explained: str
    faces: int
    emotions: dict[str, RegionMetrics]
    without_heat: int
    measured: int
    heat_in_regions: float | None
    area_of_regions: float | None
    ratio: float | None
    predicted: dict[str, int]
    pictures: int
    skipped: dict[str, int]


class FeatureShare(Summary):
    """A feature's share of the weight."""

    feature: int
    share: float


class TopFeatures(Summary):
    """The strongest features, and the smallest number that has half of the weight."""

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
