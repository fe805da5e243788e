"""Sampling faces from a trained generator, rejecting near copies of real and earlier faces."""

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
from fercli.generation.correlation_index import CorrelationIndex, Values, comparison_thumbnail
from fercli.generation.gan.networks import NOISE_SIZE, GanGenerator
from fercli.images import Pixels
from fercli.models.preprocessing import channels_last

CHUNK = 256
"""Faces generated at once; constant, so that a face does not depend on how many are requested."""
MAX_FACTOR = 4
"""Give up on a class after this many generated faces per requested one, plus `SPARE`."""
SPARE = 256
CLOSEST = 12
"""Number of faces to show next to the most similar real ones."""

NEAR_REAL, NEAR_GENERATED, BLANK = "near copy of a real face", "near copy of an earlier one", "one constant value"


def sample_noise(seed: int, label: int, number: int, truncation: float | None = None) -> Tensor:
    """Return the noise of one face, (128,), on the CPU: reproducible on every machine.

    With `truncation`, the normal distribution is truncated to ± this value: fewer artefacts, less variety (Brock et al.
    2019).
    """
    generator = torch.Generator().manual_seed(
        int(np.random.SeedSequence([seed, label, number]).generate_state(1, np.uint64)[0]) % 2**63
    )
    if truncation is None:
        return torch.randn(NOISE_SIZE, generator=generator)
    least, most = (torch.special.ndtr(torch.tensor(side * truncation, dtype=torch.float64)) for side in (-1, 1))
    uniform = torch.rand(NOISE_SIZE, generator=generator, dtype=torch.float64)
    normal: Tensor = torch.special.ndtri(least + (most - least) * uniform)
    return normal.float()


@torch.no_grad()
def generate_faces(generator: GanGenerator, noise: Tensor, label: int) -> Pixels:
    """Return faces of one class, (B, H, W) or (B, H, W, 3) uint8, from noise (B, 128)."""
    device = next(generator.parameters()).device
    faces = generator(noise.to(device), torch.full((len(noise),), label, device=device))
    values = faces.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = channels_last(values).contiguous().cpu().numpy()
    return pixels


@dataclass
class GanSampler:
    """Samples faces class by class.

    Attributes:
        generator: The generator, in eval mode, so that a face does not depend on its batch.
        seed: Seed of the noise.
        truncation: Bound of the noise, or None.
        train: The faces that the generator was trained on.
        others: The other images of the dataset.
        accepted: The faces accepted so far.
        generated: Number of faces generated so far, by label.
        rejected: Number of faces rejected so far, by reason.
        nearest: By label, the highest correlation of each generated face with a face of `train`.
        closest: The accepted faces closest to a face of `train`: correlation, face, and index of the train face.
    """

    generator: GanGenerator
    seed: int
    truncation: float | None
    train: CorrelationIndex
    others: CorrelationIndex
    accepted: CorrelationIndex
    generated: Counter[int] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    nearest: dict[int, list[Values]] = field(default_factory=dict)
    closest: list[tuple[float, Pixels, int]] = field(default_factory=list)

    @cached_property
    def _leftover(self) -> dict[int, list[tuple[int, Pixels]]]:
        """Faces of the last chunk of each class that have not been requested yet."""
        return {}

    def sample(self, label: int, count: int, name: str) -> Iterator[tuple[int, Pixels]]:
        """Yield `count` faces of a class, each with its number.

        Args:
            label: The class.
            count: Number of faces.
            name: Name of the class for messages.

        Raises:
            DataError: too many of the generated faces are near copies.
        """
        done, limit, before = 0, MAX_FACTOR * count + SPARE, self.generated[label]
        while done < count:
            faces = self._leftover.pop(label, None) or self._generate_chunk(label)
            yield from faces[: count - done]
            if rest := faces[count - done :]:
                self._leftover[label] = rest
            done += min(len(faces), count - done)
            if done < count and self.generated[label] - before >= limit:
                reasons = ", ".join(f"{number:,} a {reason}" for reason, number in self.rejected.most_common())
                raise DataError(
                    f"the GAN repeats itself: {self.generated[label] - before:,} faces generated for {name} gave "
                    f"{done:,} of {count:,} (of all generated, {reasons}); train longer with --gan-steps, choose a "
                    "--policy that adds less, or use --method augment"
                )

    def first(self, label: int, count: int) -> list[Pixels]:
        """Return the first faces of a class, including those that would be rejected."""
        noise = torch.stack([sample_noise(self.seed, label, number, self.truncation) for number in range(count)])
        return list(generate_faces(self.generator, noise, label))

    def nearest_of(self, label: int) -> Values:
        """Return `nearest` of one class, (N,)."""
        return np.concatenate([np.empty(0, np.float32), *self.nearest.get(label, [])])

    def _generate_chunk(self, label: int) -> list[tuple[int, Pixels]]:
        """Generate a chunk; return the faces that are not copies, each with its number."""
        numbers = range(self.generated[label], self.generated[label] + CHUNK)
        self.generated[label] += CHUNK
        noise = torch.stack([sample_noise(self.seed, label, number, self.truncation) for number in numbers])
        faces = generate_faces(self.generator, noise, label)
        small = np.stack([comparison_thumbnail(face) for face in faces])
        to_train, partners = self.train.nearest(small)
        to_others, to_accepted = self.others.nearest(small)[0], self.accepted.nearest(small)[0]
        to_each = self.accepted.pairwise(small)
        self.nearest.setdefault(label, []).append(to_train)
        kept: list[int] = []
        for k in range(CHUNK):
            if small[k].min() == small[k].max():
                self.rejected[BLANK] += 1
            elif max(to_train[k], to_others[k]) >= MIN_CORRELATION:
                self.rejected[NEAR_REAL] += 1
            elif to_accepted[k] >= MIN_CORRELATION or (to_each[k, kept] >= MIN_CORRELATION).any():
                self.rejected[NEAR_GENERATED] += 1
            else:
                kept.append(k)
        self.accepted.add(small[kept])
        self.closest += [(float(to_train[k]), faces[k], int(partners[k])) for k in kept]
        self.closest = sorted(self.closest, key=lambda one: -one[0])[:CLOSEST]
        return [(numbers[k], faces[k]) for k in kept]
