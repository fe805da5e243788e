"""The training loop: one function an epoch, and the state that an interrupted run goes on from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.artifacts import atomic_path
from fercli.errors import FerError
from fercli.metrics.confusion import macro_f1
from fercli.models.ema import ModelEMA
from fercli.models.inference import predict
from fercli.models.preprocessing import Preprocessing
from fercli.packs.loading import PackDataset
from fercli.recipes import Settings
from fercli.training.augment import augment
from fercli.training.freezing import FreezeSchedule
from fercli.training.losses import class_weights, cross_entropy, l1_penalty
from fercli.training.mixup import MixupCutmix
from fercli.training.optim.factory import make_optimizer
from fercli.training.schedules import LRSchedule

CHECK_EVERY = 50
"""Steps between looks at the loss: each look waits for the device."""
SMALLEST_SCALE = 2.0**-14
"""Of float16's loss, halved whenever a gradient overflows: further down, it is not the scale that is at fault."""

Figures = dict[str, float]


@dataclass
class Trainer:
    """Everything that changes while a model trains, through the stages of its training.

    Attributes:
        phases: The settings of each phase of the training, in order.
        dtype: What the model computes in; its weights stay float32.
        seed: Everything random is drawn from it and the epoch's number.
        compile: Whether the model is compiled (torch.compile).
        backbone: Prefixes of the names of the backbone's parameters, which a phase may freeze.
        history: One entry an epoch: the columns of metrics.csv.
        epoch: Epochs done.
        steps: Steps done.
        seconds: Spent in epochs.
        stage: The stage it is in, from 0.
        phase_start: Epochs that were done when the stage began.
    """

    phases: Sequence[Settings]
    model: nn.Module
    preprocessing: Preprocessing
    faces: PackDataset
    emotions: int
    device: torch.device
    dtype: torch.dtype = torch.float32
    seed: int = 0
    compile: bool = False
    backbone: Sequence[str] = ()
    history: list[Figures] = field(default_factory=list)
    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0
    stage: int = 0
    phase_start: int = 0

    def __post_init__(self) -> None:
        self.holding = FreezeSchedule(self.model, self.phases, tuple(self.backbone))
        self.model.to(self.device).to(memory_format=torch.channels_last)
        # A model whose training has loss terms of its own takes the targets too, and returns them beside the logits.
        own: Callable[..., Any] | None = getattr(self.model, "training_forward", None)
        self.own_terms = own is not None
        self.forward: Callable[..., Any] = torch.compile(own or self.model) if self.compile else own or self.model
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.enter(0)

    def enter(self, stage: int, weights: dict[str, Tensor] | None = None) -> None:
        """Begin a stage (from 0) of the training, with its own optimiser and schedule.

        Args:
            stage: Its place in the plan.
            weights: The model's state to begin from; None: as it is.
        """
        self.stage, self.phase_start, self.settings = stage, self.epoch, self.phases[stage]
        if weights is not None:
            self.model.load_state_dict(weights)
        self.holding.enter(stage)
        whole, rest = divmod(len(self.faces), self.settings.batch_size)
        self.steps_per_epoch = max(1, whole + (2 * rest > self.settings.batch_size))
        self.optimizer = make_optimizer(self.model, self.settings)
        self.rate = LRSchedule(self.optimizer, self.settings, self.steps_per_epoch)
        self.average = ModelEMA(self.model, self.settings.ema) if self.settings.ema else None
        weigh = self.settings.class_weights
        targets = self.faces.labels if self.faces.votes is None else self.faces.votes
        self.weight = class_weights(targets, self.emotions).to(self.device) if weigh else None
        self.mix = MixupCutmix(self.settings, self.emotions)

    @property
    def eval_model(self) -> nn.Module:
        """The model that is validated and kept: the average where there is one."""
        return self.average.model if self.average else self.model

    @property
    def phase_end(self) -> int:
        """The epoch that the stage ends with."""
        return self.phase_start + self.settings.epochs

    @property
    def total_epochs(self) -> int:
        """The epoch that the training ends with."""
        return self.phase_end + sum(settings.epochs for settings in self.phases[self.stage + 1 :])

    def train_epoch(self, advance: Callable[[int, str], None]) -> Figures:
        """Train one epoch and return its figures: train_loss, train_accuracy, train_macro_f1, learning_rate, …

        The loss is what is minimised: cross entropy, the model's own terms and the L1 penalty (weight decay is no part
        of it). The accuracy of faces with soft targets, by votes or mixed, is against the emotion of the largest share.
        Everything random in it is drawn from the seed and the epoch's number, so that a run taken up again here ends
        as one that was never interrupted.

        Raises:
            FerError: the loss is not finite.
        """
        settings = self.settings
        size = settings.size_at(self.epoch - self.phase_start, self.preprocessing.input_size)
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        torch.manual_seed(self.seed * 100_003 + self.epoch)  # dropout draws from torch's own
        order = torch.randperm(len(self.faces), generator=generator)
        mirrors = torch.split(self._mirrors(order), settings.batch_size)
        losses: list[Tensor] = []
        confusion = torch.zeros(self.emotions**2, dtype=torch.int64, device=self.device)
        self.holding.train()
        rate, started = self.rate.value, perf_counter()
        batches = self.faces.batches(order, settings.batch_size, even=True)
        for (images, given), mirror in zip(batches, mirrors, strict=False):  # a last, small batch may be left out
            faces = augment(
                self.preprocessing.to_float(images),
                settings,
                size,
                generator,
                mirror if settings.alternating_flip else None,
            )
            faces, targets = self.mix(faces, given, generator)
            logits, loss = self._loss(self.preprocessing.normalise(faces), targets)
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            if settings.clip_norm:
                self.scaler.unscale_(self.optimizer)
                nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
            self.scaler.step(self.optimizer)  # float16 leaves out a step whose gradient overflows, and scales less
            self.scaler.update()
            self.optimizer.zero_grad()
            self.rate.step()
            self.steps += 1
            if self.average:
                self.average.update(self.steps)
            losses.append(loss.detach())
            labels = targets.argmax(1) if targets.is_floating_point() else targets
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

    def _loss(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, classes) of normalised faces (B, C, H, W), and what is minimised, a scalar."""
        settings = self.settings
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            found = self.forward(x, targets) if self.own_terms else self.forward(x)
        logits, own = found if self.own_terms else (found, None)
        loss = cross_entropy(logits.float(), targets, self.weight, settings.label_smoothing)
        if own is not None:
            loss = loss + own.float()
        if settings.l1:
            loss = loss + settings.l1 * l1_penalty(self.model)
        return logits, loss

    def _mirrors(self, order: Tensor) -> Tensor:
        """Return which of the faces at `order` are mirrored in this epoch where they are mirrored in turn.

        Half of them begin so, by the seed; each changes with every epoch. So a face is seen both ways equally often,
        which coins do not give in a short training (K. Jordan 2024, "alternating flip").
        """
        begin = torch.rand(len(self.faces), generator=torch.Generator().manual_seed(self.seed)) < 0.5
        return begin[order] ^ bool(self.epoch % 2)

    def _check(self, losses: list[Tensor], rate: float) -> None:
        finite = torch.stack(losses).isfinite()
        instead = ", or take --precision float32" if self.scaler.is_enabled() else ""
        if not bool(finite.all()):
            step = int(finite.logical_not().nonzero()[0]) + 1
            raise FerError(
                f"the loss is not finite in epoch {self.epoch + 1}, step {step}, at a learning rate near {rate:.3g}; "
                f"lower --lr, or clip the gradient with --clip-norm 1{instead}"
            )
        if self.scaler.get_scale() < SMALLEST_SCALE:
            raise FerError(f"the gradient is not finite in epoch {self.epoch + 1}, at any scale; lower --lr{instead}")

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, tensors and plain values only."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "rate": self.rate.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "stage": self.stage,
            "begun": self.phase_start,
            "history": self.history,
            "epoch": self.epoch,
            "steps": self.steps,
            "seconds": self.seconds,
        }

    def save(self, file: Path) -> None:
        """Write the state whole: beside its place, then renamed."""
        file.parent.mkdir(exist_ok=True)
        # Into an open file: where torch opens it, what the disk refuses is told as a position in an archive.
        with atomic_path(file) as beside, beside.open("wb") as opened:
            torch.save(self.state(), opened)

    def restore(self, file: Path) -> None:
        """Take up the state that `save` wrote.

        Raises:
            FerError: it cannot be read.
        """
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
        except Exception as error:
            raise FerError(f"{file}: cannot be read; remove the folder {file.parents[1]} to start anew") from error
        self.enter(state["stage"], state["model"])
        if self.average:
            self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rate.scheduler.load_state_dict(state["rate"])
        if self.scaler.is_enabled() and state["scaler"]:  # another device may have computed in another type
            self.scaler.load_state_dict(state["scaler"])
        self.history, self.epoch, self.steps = state["history"], state["epoch"], state["steps"]
        self.seconds, self.phase_start = state["seconds"], state["begun"]


def validate(model: nn.Module, faces: PackDataset, preprocessing: Preprocessing, emotions: int) -> Figures:
    """Return the figures of a model on a split: validation_loss (plain cross entropy), _accuracy and _macro_f1.

    All are by label, whatever the training's targets: so runs on votes and on labels are compared and chosen alike.
    """
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
