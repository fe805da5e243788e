"""Drawing faces from a trained generator until a plan is filled, none nearly equal to a real one or an earlier one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from fercli.datasets.duplicates import MIN_CORRELATION
from fercli.errors import DataError
from fercli.generation.correlation import CorrelationIndex, Values, comparable
from fercli.generation.gan.networks import NOISE, Generator
from fercli.images import Pixels
from fercli.models.preprocessing import channels_last

CHUNK = 256
"""Faces drawn at once, always as many: so that a face is the same whatever else is wanted."""
TRIES = 4
"""Faces drawn at most, for each one wanted, and `SPARE` besides, before a class is given up."""
SPARE = 256
SHOWN = 12
"""Faces kept to be looked at beside the real ones nearest to them."""

NEAR_REAL, NEAR_MADE, BLANK = "near copy of a real face", "near copy of an earlier one", "one constant value"


def noise(seed: int, label: int, draw: int, truncation: float | None = None) -> Tensor:
    """Return the noise of one face, (128,), on the CPU: the same for the same numbers, everywhere.

    With `truncation`, normal numbers within +- that: fewer odd faces, and less variety (Brock et al. 2019).
    """
    generator = torch.Generator().manual_seed(
        int(np.random.SeedSequence([seed, label, draw]).generate_state(1, np.uint64)[0]) % 2**63
    )
    if truncation is None:
        return torch.randn(NOISE, generator=generator)
    least, most = (torch.special.ndtr(torch.tensor(side * truncation, dtype=torch.float64)) for side in (-1, 1))
    uniform = torch.rand(NOISE, generator=generator, dtype=torch.float64)
    normal: Tensor = torch.special.ndtri(least + (most - least) * uniform)
    return normal.float()


@torch.no_grad()
def make_faces(generator: Generator, noises: Tensor, label: int) -> Pixels:
    """Return faces of one class, (B, H, W) or (B, H, W, 3) uint8, of noises (B, 128)."""
    device = next(generator.parameters()).device
    faces = generator(noises.to(device), torch.full((len(noises),), label, device=device))
    values = faces.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = channels_last(values).contiguous().cpu().numpy()
    return pixels


@dataclass
class Sampler:
    """Draws faces class by class.

    Attributes:
        generator: In evaluation mode, so that a face is its own, whatever stands beside it in a batch.
        seed: Of the noise.
        truncation: Bound of the noise, or None.
        train: The faces the generator learnt from.
        others: The other images of the data set.
        made: The faces made so far.
        drawn: Faces drawn so far, by class.
        rejected: Faces rejected so far, by reason.
        nearest: By class, of each face drawn, the highest correlation with a face of `train`.
        closest: Of the faces accepted, those nearest to a face of `train`: correlation, the face, that one's number.
    """

    generator: Generator
    seed: int
    truncation: float | None
    train: CorrelationIndex
    others: CorrelationIndex
    made: CorrelationIndex
    drawn: Counter[int] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    nearest: dict[int, list[Values]] = field(default_factory=dict)
    closest: list[tuple[float, Pixels, int]] = field(default_factory=list)

    @cached_property
    def _left(self) -> dict[int, list[tuple[int, Pixels]]]:
        """Faces of the last chunk of each class that were not asked for yet."""
        return {}

    def draw(self, label: int, wanted: int, name: str) -> Iterator[tuple[int, Pixels]]:
        """Yield as many faces of a class as are wanted, each with the number of its draw.

        Raises:
            DataError: too many of those drawn are near copies.
        """
        taken, most, before = 0, TRIES * wanted + SPARE, self.drawn[label]
        while taken < wanted:
            left = self._left.pop(label, None) or self._chunk(label)
            yield from left[: wanted - taken]
            if rest := left[wanted - taken :]:
                self._left[label] = rest
            taken += min(len(left), wanted - taken)
            if taken < wanted and self.drawn[label] - before >= most:
                why = ", ".join(f"{count:,} a {reason}" for reason, count in self.rejected.most_common())
                raise DataError(
                    f"the GAN repeats itself: {self.drawn[label] - before:,} faces drawn for {name} gave {taken:,} of "
                    f"{wanted:,} (of all drawn, {why}); train longer with --gan-steps, fill up less with --policy, or "
                    "take --method augment"
                )

    def first(self, label: int, count: int) -> list[Pixels]:
        """Return the first faces of a class as they come, none left out."""
        noises = torch.stack([noise(self.seed, label, number, self.truncation) for number in range(count)])
        return list(make_faces(self.generator, noises, label))

    def nearest_of(self, label: int) -> Values:
        """Return `nearest` of one class, (N,)."""
        return np.concatenate([np.empty(0, np.float32), *self.nearest.get(label, [])])

    def _chunk(self, label: int) -> list[tuple[int, Pixels]]:
        """Draw a chunk; return the faces that are like none known, each with its number."""
        numbers = range(self.drawn[label], self.drawn[label] + CHUNK)
        self.drawn[label] += CHUNK
        noises = torch.stack([noise(self.seed, label, number, self.truncation) for number in numbers])
        faces = make_faces(self.generator, noises, label)
        small = np.stack([comparable(face) for face in faces])
        to_train, partners = self.train.nearest(small)
        to_others, to_made = self.others.nearest(small)[0], self.made.nearest(small)[0]
        to_each = self.made.among(small)
        self.nearest.setdefault(label, []).append(to_train)
        accepted: list[int] = []
        for k in range(CHUNK):
            if small[k].min() == small[k].max():
                self.rejected[BLANK] += 1
            elif max(to_train[k], to_others[k]) >= MIN_CORRELATION:
                self.rejected[NEAR_REAL] += 1
            elif to_made[k] >= MIN_CORRELATION or (to_each[k, accepted] >= MIN_CORRELATION).any():
                self.rejected[NEAR_MADE] += 1
            else:
                accepted.append(k)
        self.made.add(small[accepted])
        self.closest += [(float(to_train[k]), faces[k], int(partners[k])) for k in accepted]
        self.closest = sorted(self.closest, key=lambda one: -one[0])[:SHOWN]
        return [(numbers[k], faces[k]) for k in accepted]
