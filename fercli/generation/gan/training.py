"""The GAN's training: one function a step, and the state that an interrupted training goes on from.

Everything random in a step is drawn from the seed and the step's number, so that a training that is taken up again
ends, on the CPU bit for bit, as one that was never interrupted.
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
from fercli.generation.gan.diffaug import DRAWS, diffaug
from fercli.generation.gan.losses import discriminator_loss, generator_loss
from fercli.generation.gan.networks import NOISE, Discriminator, Generator
from fercli.models.devices import training_type
from fercli.models.ema import ModelEMA
from fercli.progress import SILENT, Progress

GENERATOR_RATE, DISCRIMINATOR_RATE = 2e-4, 1e-3
"""Adam's. DCGAN's for the generator; the discriminator learns five times as fast (the two time scales of Heusel et al.
2017), since spectral norm and augmentation hold it back."""
BETAS = (0.0, 0.99)
"""No momentum, and a shorter memory of the gradient's size than Adam's own: what is right changes as the two play."""
DECAY = 0.999
"""Of the generator's moving average, from which faces are drawn."""
CHECK_EVERY = 50
"""Steps between looks at the losses: each look waits for the device."""
SAVE_SECONDS = 60.0
"""Between the states that a training is gone on from. Which of them it is changes nothing."""
STATE = Path("resume") / "gan.pt"


@dataclass
class Figures:
    """What the training says of itself, over the steps since the last figures.

    Attributes:
        step: Steps so far.
        discriminator: Its loss.
        generator: Its loss.
    """

    step: int
    discriminator: float
    generator: float


@dataclass
class Gan:
    """The two networks and what trains them.

    Args:
        reals: The faces to learn from.
        width: Channels of the networks' narrowest layers.
        batch: Faces a step.
        seed: Of everything random.

    Attributes:
        average: The generator's moving average.
        steps: Steps taken.
        seconds: They took, over all calls.
        history: Figures every so many steps.
    """

    reals: TrainingFaces
    width: int
    batch: int
    seed: int
    steps: int = 0
    seconds: float = 0.0
    history: list[Figures] = field(default_factory=list)

    def __post_init__(self) -> None:
        classes, channels = len(self.reals.counts), self.reals.images.shape[1]
        self.device = self.reals.images.device
        self.dtype = training_type("auto", self.device)
        if self.dtype == torch.float16:  # would want its losses scaled
            self.dtype = torch.float32
        torch.manual_seed(self.seed)  # the weights' start, on the CPU: the same on every device
        form: dict[str, Any] = {"device": self.device, "memory_format": torch.channels_last}
        self.generator = Generator(classes, self.reals.side, channels, self.width).to(**form)
        self.discriminator = Discriminator(classes, self.reals.side, channels, self.width).to(**form)
        self.average = ModelEMA(self.generator, DECAY)
        options: dict[str, Any] = {"betas": BETAS, "fused": self.device.type in ("cpu", "cuda")}
        self._optimizers = [
            torch.optim.Adam(self.discriminator.parameters(), DISCRIMINATOR_RATE, **options),
            torch.optim.Adam(self.generator.parameters(), GENERATOR_RATE, **options),
        ]
        self._random = torch.Generator(self.device)

    def train(self, steps: int, folder: Path, progress: Progress = SILENT) -> None:
        """Train until `steps` steps are taken, the state being saved in `folder` now and then, and at the end.

        Raises:
            FerError: a loss is not finite, or the device has no memory for a step.
        """
        every = max(1, steps // 200)
        losses: list[Tensor] = []
        with progress.task("training the GAN", steps):
            progress.advance(self.steps)
            saved = started = perf_counter()
            begun = started, self.steps
            while self.steps < steps:
                try:
                    losses.append(self.step())
                except torch.OutOfMemoryError as error:
                    raise FerError(
                        f"{self.device} has no memory for a step of {self.batch} faces; take a smaller --gan-batch "
                        f"(now {self.batch}) or --gan-width (now {self.width})"
                    ) from error
                if len(losses) >= every or self.steps == steps:
                    pace = (perf_counter() - begun[0]) / (self.steps - begun[1])
                    self._note(losses, steps, pace, progress)
                    losses = []
                elif len(losses) % CHECK_EVERY == 0:
                    self._check(losses)
                progress.advance()
                # Only where no loss waits to be noted: the history is part of the state.
                if not losses and (perf_counter() - saved > SAVE_SECONDS or self.steps == steps):
                    now = perf_counter()
                    self.seconds, started = self.seconds + now - started, now
                    self.save(folder / STATE)
                    saved = perf_counter()

    def step(self) -> Tensor:
        """Take one step of the discriminator and one of the generator; return their losses, (2,), on the device."""
        random, size = self._random.manual_seed(self.seed * 1_000_003 + self.steps), self.batch
        real, labels = self.reals.batch(size, random)
        noise = torch.randn(size, NOISE, generator=random, device=self.device)
        draws = torch.rand(3, size, DRAWS, generator=random, device=self.device)
        judge, maker = self._optimizers
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            made = self.generator(noise, labels)
        seen = torch.cat([diffaug(real, draws[0]), diffaug(made.detach().float(), draws[1])])
        found = self._judged(seen, labels.repeat(2))
        loss = discriminator_loss(found[:size], found[size:])
        loss.backward()  # type: ignore[no-untyped-call]
        judge.step()
        judge.zero_grad()
        # The same faces serve both: a second pass of the generator would cost an eighth of the step.
        self.discriminator.requires_grad_(False)
        own = generator_loss(self._judged(diffaug(made.float(), draws[2]), labels))
        own.backward()  # type: ignore[no-untyped-call]
        self.discriminator.requires_grad_(True)
        maker.step()
        maker.zero_grad()
        self.steps += 1
        self.average.update(self.steps)
        return torch.stack([loss.detach(), own.detach()])

    def _judged(self, faces: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            found: Tensor = self.discriminator(faces, labels)
        return found

    def _check(self, losses: list[Tensor]) -> list[float]:
        """Return the losses' means.

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

    def _note(self, losses: list[Tensor], steps: int, pace: float, progress: Progress) -> None:
        """Keep the figures, and log some of them with what is left at `pace` seconds a step."""
        self.history.append(Figures(self.steps, *self._check(losses)))
        last = self.history[-1]
        if len(self.history) % 10 == 0 or self.steps == steps:
            progress.log(
                f"step {last.step:,}/{steps:,}: loss {last.discriminator:.3f} of the discriminator, "
                f"{last.generator:.3f} of the generator, {self.batch / pace:,.0f} faces/s, "
                f"{round(pace * (steps - self.steps)) // 60}:{round(pace * (steps - self.steps)) % 60:02d} left"
            )

    def save(self, file: Path) -> None:
        """Write the state whole: beside its place, then renamed."""
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
        # Into an open file: where torch opens it, what the disk refuses is told as a position in an archive.
        with atomic_path(file) as beside, beside.open("wb") as opened:
            torch.save(state, opened)

    def restore(self, file: Path) -> None:
        """Take up the state that `save` wrote.

        Raises:
            FerError: it cannot be read.
        """
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
            self.generator.load_state_dict(state["generator"])
            self.discriminator.load_state_dict(state["discriminator"])
            self.average.model.load_state_dict(state["average"])
            for optimizer, own in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(own)
            self.history = [Figures(*one) for one in state["history"]]
            self.steps, self.seconds = state["steps"], state["seconds"]
        except Exception as error:
            raise FerError(f"{file}: cannot be read; remove the folder {file.parents[1]} to start anew") from error
