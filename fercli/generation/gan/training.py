"""Training of the GAN, and the state from which an interrupted training resumes.

All random numbers of a step depend only on the seed and the step number, so that a resumed training gives the same
result as an uninterrupted one, on the CPU bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from fercli.artifacts import atomic_path
from fercli.errors import FerError
from fercli.generation.gan.data import TrainingFaces
from fercli.generation.gan.diffaug import UNIFORMS, diffaug
from fercli.generation.gan.losses import discriminator_loss, generator_loss
from fercli.generation.gan.networks import NOISE_SIZE, GanDiscriminator, GanGenerator
from fercli.models.devices import training_type
from fercli.models.ema import ModelEMA
from fercli.progress import SILENT, Progress

GENERATOR_RATE, DISCRIMINATOR_RATE = 2e-4, 1e-3
"""Learning rates of Adam. The generator's is DCGAN's; the discriminator's is five times as high (the two time-scale
update rule of Heusel et al. 2017), since spectral norm and augmentation slow it down."""
BETAS = (0.0, 0.99)
"""No momentum, and a shorter average of squared gradients than Adam's default, since the objective keeps changing."""
DECAY = 0.999
"""Decay of the generator's moving average, from which faces are sampled."""
CHECK_EVERY = 50
"""Steps between checks of the losses; each check synchronizes with the device."""
SAVE_SECONDS = 60.0
"""Time between saved states. The result does not depend on which of them a training resumes from."""
STATE = Path("resume") / "gan.pt"


@dataclass
class Losses:
    """Mean losses since the previous record.

    Attributes:
        step: Number of steps so far.
        discriminator: Loss of the discriminator.
        generator: Loss of the generator.
    """

    step: int
    discriminator: float
    generator: float


@dataclass
class GanTrainer:
    """The two networks, their optimizers and the training loop.

    Args:
        faces: The training faces.
        width: Channels of the networks' narrowest layers.
        batch: Faces per step.
        seed: Random seed.

    Attributes:
        average: Moving average of the generator.
        steps: Number of steps taken.
        seconds: Training time over all calls.
        history: Mean losses at regular intervals.
    """

    faces: TrainingFaces
    width: int
    batch: int
    seed: int
    steps: int = 0
    seconds: float = 0.0
    history: list[Losses] = field(default_factory=list)

    def __post_init__(self) -> None:
        classes, channels = len(self.faces.counts), self.faces.images.shape[1]
        self.device = self.faces.images.device
        self.dtype = training_type("auto", self.device)
        if self.dtype == torch.float16:  # would need loss scaling
            self.dtype = torch.float32
        torch.manual_seed(self.seed)  # weights are initialized on the CPU, equally for every device
        placement: dict[str, Any] = {"device": self.device, "memory_format": torch.channels_last}
        self.generator = GanGenerator(classes, self.faces.side, channels, self.width).to(**placement)
        self.discriminator = GanDiscriminator(classes, self.faces.side, channels, self.width).to(**placement)
        self.average = ModelEMA(self.generator, DECAY)
        options: dict[str, Any] = {"betas": BETAS, "fused": self.device.type in ("cpu", "cuda")}
        self._optimizers = [
            torch.optim.Adam(self.discriminator.parameters(), DISCRIMINATOR_RATE, **options),
            torch.optim.Adam(self.generator.parameters(), GENERATOR_RATE, **options),
        ]
        self._random = torch.Generator(self.device)

    def train(self, steps: int, folder: Path, progress: Progress = SILENT) -> None:
        """Train until `steps` steps are taken; save the state in `folder` regularly and at the end.

        Raises:
            FerError: a loss is not finite, or the device runs out of memory.
        """
        every = max(1, steps // 200)
        losses: list[Tensor] = []
        with progress.task("training the GAN", steps):
            progress.advance(self.steps)
            saved = started = perf_counter()
            first = started, self.steps
            while self.steps < steps:
                try:
                    losses.append(self.step())
                except torch.OutOfMemoryError as error:
                    raise FerError(
                        f"{self.device} does not have enough memory for a step of {self.batch} faces; use a smaller "
                        f"--gan-batch (now {self.batch}) or --gan-width (now {self.width})"
                    ) from error
                if len(losses) >= every or self.steps == steps:
                    seconds_per_step = (perf_counter() - first[0]) / (self.steps - first[1])
                    self._record(losses, steps, seconds_per_step, progress)
                    losses = []
                elif len(losses) % CHECK_EVERY == 0:
                    self._check(losses)
                progress.advance()
                # Only once all losses are recorded: the history is part of the state.
                if not losses and (perf_counter() - saved > SAVE_SECONDS or self.steps == steps):
                    now = perf_counter()
                    self.seconds, started = self.seconds + now - started, now
                    self.save(folder / STATE)
                    saved = perf_counter()

    def step(self) -> Tensor:
        """Take one step of the discriminator and one of the generator; return their losses, (2,), on the device."""
        random, size = self._random.manual_seed(self.seed * 1_000_003 + self.steps), self.batch
        real, labels = self.faces.batch(size, random)
        noise = torch.randn(size, NOISE_SIZE, generator=random, device=self.device)
        uniforms = torch.rand(3, size, UNIFORMS, generator=random, device=self.device)
        discriminator_optimizer, generator_optimizer = self._optimizers
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            fake = self.generator(noise, labels)
        both = torch.cat([diffaug(real, uniforms[0]), diffaug(fake.detach().float(), uniforms[1])])
        logits = self._discriminate(both, labels.repeat(2))
        loss = discriminator_loss(logits[:size], logits[size:])
        loss.backward()  # type: ignore[no-untyped-call]
        discriminator_optimizer.step()
        discriminator_optimizer.zero_grad()
        # The generated faces are reused: a second pass of the generator would cost an eighth of the step.
        self.discriminator.requires_grad_(False)
        fooling = generator_loss(self._discriminate(diffaug(fake.float(), uniforms[2]), labels))
        fooling.backward()  # type: ignore[no-untyped-call]
        self.discriminator.requires_grad_(True)
        generator_optimizer.step()
        generator_optimizer.zero_grad()
        self.steps += 1
        self.average.update(self.steps)
        return torch.stack([loss.detach(), fooling.detach()])

    def _discriminate(self, faces: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits: Tensor = self.discriminator(faces, labels)
        return logits

    def _check(self, losses: list[Tensor]) -> list[float]:
        """Return the mean losses.

        Raises:
            FerError: one is not finite.
        """
        means: list[float] = torch.stack(losses).mean(0).tolist()
        if not all(map(math.isfinite, means)):
            raise FerError(
                f"the GAN's loss is not finite within {len(losses)} steps of step {self.steps:,}; try another --seed, "
                "or a larger --gan-batch"
            )
        return means

    def _record(self, losses: list[Tensor], steps: int, seconds_per_step: float, progress: Progress) -> None:
        """Record the mean losses, and log every tenth record with the estimated time left."""
        self.history.append(Losses(self.steps, *self._check(losses)))
        last = self.history[-1]
        left = round(seconds_per_step * (steps - self.steps))
        if len(self.history) % 10 == 0 or self.steps == steps:
            progress.log(
                f"step {last.step:,}/{steps:,}: discriminator loss {last.discriminator:.3f}, "
                f"generator loss {last.generator:.3f}, {self.batch / seconds_per_step:,.0f} faces/s, "
                f"{left // 60}:{left % 60:02d} left"
            )

    def save(self, file: Path) -> None:
        """Write the state atomically: to a temporary file, which is then renamed."""
        file.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "steps": self.steps,
            "seconds": self.seconds,
            "history": [(one.step, one.discriminator, one.generator) for one in self.history],
        }
        # To an open file: if torch opened it, a full disk would be reported as an archive offset.
        with atomic_path(file) as tmp_path, tmp_path.open("wb") as opened:
            torch.save(state, opened)

    def restore(self, file: Path) -> None:
        """Restore the state that `save` wrote.

        Raises:
            FerError: it cannot be read.
        """
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
            self.generator.load_state_dict(state["generator"])
            self.discriminator.load_state_dict(state["discriminator"])
            self.average.model.load_state_dict(state["average"])
            for optimizer, optimizer_state in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(optimizer_state)
            self.history = [Losses(*one) for one in state["history"]]
            self.steps, self.seconds = state["steps"], state["seconds"]
        except Exception as error:
            raise FerError(f"{file}: cannot be read; remove the folder {file.parents[1]} to start over") from error
