"""The plot of valence and arousal: points for few faces, hexagons for many."""

import io

import numpy as np
import pytest
from PIL import Image

from fercli.report.affect_plot import MAX_POINTS, affect_plot


@pytest.mark.parametrize("count", [1, 30, MAX_POINTS + 1])
def test_any_number_of_faces_can_be_plotted(count: int) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (2, count, 2)).astype(np.float32)
    picture = affect_plot(values[0], values[1], ["Valence", "Arousal"])
    size = Image.open(io.BytesIO(picture)).size
    assert size[0] > size[1] > 300
    assert picture == affect_plot(values[0], values[1], ["Valence", "Arousal"])
    assert picture != affect_plot(-values[0], values[1], ["Valence", "Arousal"])
