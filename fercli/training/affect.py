"""Valence and arousal as a second task of a training: joint targets, and their loss.

The loss follows Toisoul et al. 2021 ("Estimation of continuous valence and arousal levels from faces in naturalistic
conditions", Nature Machine Intelligence 3), who add a squared error, and one minus the concordance correlation
coefficient (CCC), to the cross entropy of the emotions; Kollias 2022 ("ABAW: valence-arousal estimation, expression
recognition, action unit detection & multi-task learning challenges", CVPR workshops) has the CCC alone.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fercli.models.affect import split_outputs
from fercli.packs.affect import Affect
from fercli.packs.loading import PackDataset
from fercli.recipes import PhaseSettings

_EPSILON = 1e-8
"""Keeps the CCC of constant values, which is undefined, and its gradient finite."""


def with_affect(faces: PackDataset, affect: Affect, emotions: int) -> PackDataset:
    """Return faces that yield joint targets: the distribution over the emotions, and valence and arousal.

    Args:
        faces: The faces.
        affect: Their valence and arousal, (N, 2), NaN where there are none.
        emotions: Number of emotions.
    """
    soft = F.one_hot(faces.labels, emotions).float() if faces.votes is None else faces.votes
    return replace(faces, joint=torch.cat([soft, torch.from_numpy(affect)], 1))


def emotion_targets(targets: Tensor, emotions: int) -> Tensor:
    """Return the part of targets that concerns emotions: of joint ones, (B, emotions + 2), the first columns."""
    return targets[:, :emotions] if targets.ndim > 1 else targets


class AffectLoss:
    """The loss of valence and arousal, over the faces that have them.

    A batch that is divided into parts has the same squared error: each part counts by its number of annotated faces.
    The CCC is a statistic of all faces together; a divided batch has the mean of its parts' CCCs, weighted in the same
    way, which is another number. So with `accumulate` or on several devices, only `mse` is independent of the division.

    MixUp and CutMix mix valence and arousal in the same ratio as the emotions; a mixture with a face that has none has
    none.

    Args:
        settings: Those of the phase: `affect_weight` and `affect_loss`.
        emotions: Number of emotions.
        mixing: Whether each face is mixed with the one before it in the batch.
    """

    def __init__(self, settings: PhaseSettings, emotions: int, *, mixing: bool) -> None:
        self._weight, self._kind = settings.affect_weight, settings.affect_loss
        self._emotions, self._mixing = emotions, mixing

    def count(self, targets: Tensor) -> int:
        """Return the number of faces of a whole batch, not mixed yet, that the loss is over.

        Args:
            targets: Joint targets, (B, emotions + 2).
        """
        known = _annotated(targets[:, self._emotions :])
        return int((known & known.roll(1) if self._mixing else known).sum())

    def __call__(self, outputs: Tensor, targets: Tensor, count: int) -> Tensor:
        """Return the share of these faces in the weighted loss of their batch, a scalar; the shares add up to it.

        Args:
            outputs: The model's, float32 (P, emotions + 2).
            targets: Joint targets, mixed or not, (P, emotions + 2).
            count: Of the whole batch, from `count`.
        """
        predicted, annotated = split_outputs(outputs, self._emotions)[1], targets[:, self._emotions :]
        known = _annotated(annotated)
        weight = known.float()[:, None]  # not the annotated rows: their number would have to come from the device
        annotated = torch.where(known[:, None], annotated, 0.0)
        loss = torch.zeros((), device=outputs.device)
        if self._kind != "ccc":
            loss = loss + ((predicted - annotated).square() * weight).sum() / 2
        if self._kind != "mse":
            loss = loss + weight.sum() * (1 - concordance(predicted, annotated, weight).mean())
        return self._weight * loss / max(count, 1)


def concordance(predicted: Tensor, annotated: Tensor, weight: Tensor) -> Tensor:
    """Return the concordance correlation coefficient of each column, (2,), differentiable (Lin 1989, equation 5).

    Args:
        predicted: (N, 2).
        annotated: (N, 2).
        weight: Of each face, (N, 1); 0 leaves it out.
    """
    total = weight.sum().clamp(min=1)
    mean, other = ((values * weight).sum(0) / total for values in (predicted, annotated))
    x, y = predicted - mean, annotated - other
    covariance, variance, spread = ((each * weight).sum(0) / total for each in (x * y, x.square(), y.square()))
    return 2 * covariance / (variance + spread + (mean - other).square() + _EPSILON)


def _annotated(values: Tensor) -> Tensor:
    return ~values.isnan().any(1)
