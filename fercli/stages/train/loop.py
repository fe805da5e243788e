"""The training loop: one function an epoch, and the state that an interrupted run goes on from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.errors import FerError
from fercli.metrics.confusion import macro_f1
from fercli.models.inference import predict
from fercli.models.preprocessing import Preprocessing
from fercli.packs.loading import Faces
from fercli.stages.train.augment import augment
from fercli.stages.train.config import TrainConfig
from fercli.stages.train.optimise import Average, Rate, class_weights, make_optimizer

CHECK_EVERY = 50
"""Steps between looks at the loss: each look waits for the device."""

Figures = dict[str, float]


@dataclass
class Trainer:
    """Everything that changes while a model trains.

    Attributes:
        history: One entry an epoch: the columns of metrics.csv.
        epoch: Epochs done.
        steps: Steps done.
        seconds: Spent in epochs.
    """

    config: TrainConfig
    model: nn.Module
    preprocessing: Preprocessing
    faces: Faces
    emotions: int
    device: torch.device
    bfloat16: bool
    history: list[Figures] = field(default_factory=list)
    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        config = self.config
        self.model.to(self.device).to(memory_format=torch.channels_last)
        whole, rest = divmod(len(self.faces), config.batch_size)
        self.steps_per_epoch = max(1, whole + (2 * rest > config.batch_size))
        self.optimizer = make_optimizer(self.model, config)
        self.rate = Rate(self.optimizer, config, self.steps_per_epoch * config.epochs)
        self.average = Average(self.model, config.ema) if config.ema else None
        self.weight = class_weights(self.faces.labels, self.emotions).to(self.device) if config.class_weights else None
        self.forward: Callable[[Tensor], Tensor] = torch.compile(self.model) if config.compile else self.model

    @property
    def judged(self) -> nn.Module:
        """The model that is validated and kept: the average where there is one."""
        return self.average.model if self.average else self.model

    def train_epoch(self, advance: Callable[[int, str], None]) -> Figures:
        """Train one epoch and return its figures: train_loss, train_accuracy, train_macro_f1, learning_rate, …

        Everything random in it is drawn from the seed and the epoch's number, so that a run taken up again here ends
        as one that was never interrupted.

        Raises:
            FerError: the loss is not finite.
        """
        config, size = self.config, self.config.size_at(self.epoch, self.preprocessing.input_size)
        generator = torch.Generator().manual_seed(config.seed * 100_003 + self.epoch)
        torch.manual_seed(config.seed * 100_003 + self.epoch)  # dropout draws from torch's own
        order = torch.randperm(len(self.faces), generator=generator)
        mirrors = torch.split(self._mirrors(order), config.batch_size)
        losses: list[Tensor] = []
        confusion = torch.zeros(self.emotions**2, dtype=torch.int64, device=self.device)
        self.model.train()
        rate, started = self.rate.value, perf_counter()
        batches = self.faces.batches(order, config.batch_size, even=True)
        for (images, labels), mirror in zip(batches, mirrors, strict=False):  # a last, small batch may be left out
            faces = augment(
                self.preprocessing.to_float(images), config, size, generator, mirror if config.flip_in_turn else None
            )
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                logits = self.forward(self.preprocessing.normalise(faces))
            loss = F.cross_entropy(logits.float(), labels, self.weight, label_smoothing=config.label_smoothing)
            loss.backward()  # type: ignore[no-untyped-call]
            if config.clip_norm:
                nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.rate.step()
            self.steps += 1
            if self.average:
                self.average.update(self.steps)
            losses.append(loss.detach())
            confusion += torch.bincount(labels * self.emotions + logits.detach().argmax(1), minlength=len(confusion))
            if len(losses) % CHECK_EVERY == 0:
                self._check(losses, rate)
            advance(len(labels), "")
        self._check(losses, rate)
        spent = perf_counter() - started
        self.seconds += spent
        self.epoch += 1
        matrix = confusion.view(self.emotions, self.emotions).cpu().numpy()
        return {
            "epoch": self.epoch,
            "train_loss": float(torch.stack(losses).mean()),
            "train_accuracy": float(matrix.trace() / matrix.sum()),
            "train_macro_f1": macro_f1(matrix),
            "learning_rate": rate,
            "images_per_second": float(matrix.sum() / spent),
        }

    def _mirrors(self, order: Tensor) -> Tensor:
        """Return which of the faces at `order` are mirrored in this epoch where they are mirrored in turn.

        Half of them begin so, by the seed; each changes with every epoch. So a face is seen both ways equally often,
        which coins do not give in a short training (K. Jordan 2024, "alternating flip").
        """
        begin = torch.rand(len(self.faces), generator=torch.Generator().manual_seed(self.config.seed)) < 0.5
        return begin[order] ^ bool(self.epoch % 2)

    def _check(self, losses: list[Tensor], rate: float) -> None:
        finite = torch.stack(losses).isfinite()
        if not bool(finite.all()):
            step = int(finite.logical_not().nonzero()[0]) + 1
            raise FerError(
                f"the loss is not finite in epoch {self.epoch + 1}, step {step}, at a learning rate near {rate:.3g}; "
                "lower --lr, or clip the gradient with --clip-norm 1"
            )

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, tensors and plain values only."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "rate": self.rate.scheduler.state_dict(),
            "history": self.history,
            "epoch": self.epoch,
            "steps": self.steps,
            "seconds": self.seconds,
        }

    def save(self, file: Path) -> None:
        """Write the state whole: beside its place, then renamed."""
        file.parent.mkdir(exist_ok=True)
        beside = file.with_suffix(".new")
        torch.save(self.state(), beside)
        beside.replace(file)

    def restore(self, file: Path) -> None:
        """Take up the state that `save` wrote.

        Raises:
            FerError: it cannot be read.
        """
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
        except Exception as error:
            raise FerError(f"{file}: cannot be read; remove the folder {file.parents[1]} to start anew") from error
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rate.scheduler.load_state_dict(state["rate"])
        self.history, self.epoch, self.steps = state["history"], state["epoch"], state["steps"]
        self.seconds = state["seconds"]


def validate(model: nn.Module, faces: Faces, preprocessing: Preprocessing, emotions: int) -> Figures:
    """Return the figures of a model on a split: validation_loss (plain cross entropy), _accuracy and _macro_f1."""
    found = [
        predict(model, images, preprocessing, device=faces.device)
        for images, _ in faces.batches(torch.arange(len(faces)), 1024)
    ]
    probabilities = torch.cat(found)
    loss = F.nll_loss(probabilities.clamp(min=1e-12).log(), faces.labels)
    pairs = faces.labels * emotions + probabilities.argmax(1)
    matrix = torch.bincount(pairs, minlength=emotions**2).view(emotions, emotions).numpy()
    return {
        "validation_loss": float(loss),
        "validation_accuracy": float(matrix.trace() / matrix.sum()),
        "validation_macro_f1": macro_f1(matrix),
    }
