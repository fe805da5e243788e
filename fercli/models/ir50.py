"""The first three stages of IR-50, a residual network for face recognition (Deng et al. 2019, ArcFace).

They have 3, 4 and 14 units of 64, 128 and 256 channels; the fourth stage and the embedding are omitted, as in POSTER V2
and ARBEx. Parts are named as in published weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ImprovedResidualUnit(nn.Module):
    """Batch norm, 3x3 convolution, PReLU, 3x3 convolution, batch norm, and a shortcut; no activation after the sum.

    The second convolution has the stride. The shortcut is a strided subsampling, or a 1x1 convolution with batch norm
    if the number of channels changes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = (
            nn.MaxPool2d(1, stride)
            if inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        out: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return out


def _stage(inputs: int, outputs: int, units: int) -> nn.Sequential:
    return nn.Sequential(
        *(ImprovedResidualUnit(outputs if k else inputs, outputs, 1 if k else 2) for k in range(units))
    )


class IR50(nn.Module):
    """Image features at three scales.

    Args:
        widths: Channels of the three stages; the first convolution has those of the first stage.
        depths: Units of the three stages; the first of each has stride 2.
    """

    def __init__(self, widths: Sequence[int] = (64, 128, 256), depths: Sequence[int] = (3, 4, 14)) -> None:
        super().__init__()
        first, second, third = widths
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        self.body1 = _stage(first, first, depths[0])
        self.body2 = _stage(first, second, depths[1])
        self.body3 = _stage(second, third, depths[2])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of faces (B, 3, S, S): (B, widths[k], S / 2^(k + 1), S / 2^(k + 1)) for k = 0, 1, 2."""
        first = self.body1(self.input_layer(x))
        second = self.body2(first)
        return first, second, self.body3(second)
