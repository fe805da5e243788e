"""The training loop: one call per epoch, and the state to resume an interrupted run from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.artifacts import atomic_path
from fercli.errors import DivergedError, FerError
from fercli.metrics.calibration import fit_temperature
from fercli.metrics.confusion import macro_f1
from fercli.models.ema import ModelEMA
from fercli.models.inference import predict
from fercli.models.preprocessing import Preprocessing
from fercli.packs.loading import PackDataset
from fercli.recipes import PhaseSettings
from fercli.training.attention_consistency import AttentionConsistency
from fercli.training.augment import augment
from fercli.training.criterion import Criterion
from fercli.training.freezing import FreezeSchedule
from fercli.training.losses import l1_penalty
from fercli.training.mixup import MixupCutmix
from fercli.training.optim.factory import make_optimizer
from fercli.training.sam import SharpnessAware
from fercli.training.schedules import LRSchedule

CHECK_EVERY = 50
"""Steps between checks of the loss: each check waits for the device."""
SMALLEST_SCALE = 2.0**-14
"""Loss scale of float16, halved whenever a gradient overflows: below this, the scale is not the cause."""

Metrics = dict[str, float]


@dataclass
class Trainer:
    """A model in training, with all state that changes during the phases.

    Attributes:
        phases: The settings of each phase of the training, in order.
        dtype: Type that the model computes in; its weights stay float32.
        seed: All randomness depends on it and the epoch number only.
        compile: Whether to compile the model (torch.compile).
        backbone: Prefixes of the names of the backbone's parameters, which a phase may freeze.
        history: The metrics of each epoch: the columns of metrics.csv.
        epoch: Epochs done.
        steps: Steps done.
        seconds: Time spent in epochs.
        phase: Index of the current phase, from 0.
        phase_start: Epochs done when the phase started.
    """

    phases: Sequence[PhaseSettings]
    model: nn.Module
    preprocessing: Preprocessing
    faces: PackDataset
    emotions: int
    device: torch.device
    dtype: torch.dtype = torch.float32
    seed: int = 0
    compile: bool = False
    backbone: Sequence[str] = ()
    history: list[Metrics] = field(default_factory=list)
    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0
    phase: int = 0
    phase_start: int = 0

    def __post_init__(self) -> None:
        self.freezing = FreezeSchedule(self.model, self.phases, tuple(self.backbone))
        self.model.to(self.device).to(memory_format=torch.channels_last)
        # A model with an extra loss also takes the targets, and returns the loss along with the logits.
        training_forward: Callable[..., Any] | None = getattr(self.model, "training_forward", None)
        self.has_own_loss = training_forward is not None
        forward = training_forward or self.model
        self.forward: Callable[..., Any] = torch.compile(forward) if self.compile else forward
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        wanted = any(settings.attention_consistency for settings in self.phases)  # refused at once, if the model cannot
        self.attention = AttentionConsistency(self.model, self.preprocessing) if wanted else None
        self.enter(0)

    def enter(self, phase: int, weights: dict[str, Tensor] | None = None) -> None:
        """Start a phase of the training, with a new optimiser and schedule.

        Args:
            phase: Its index, from 0.
            weights: The model's state to start from; None: as it is.
        """
        self.phase, self.phase_start, self.settings = phase, self.epoch, self.phases[phase]
        if weights is not None:
            self.model.load_state_dict(weights)
        self.freezing.enter(phase)
        full, rest = divmod(len(self.faces), self.settings.batch_size)
        self.steps_per_epoch = max(1, full + (2 * rest > self.settings.batch_size))
        self.optimizer = make_optimizer(self.model, self.settings, self.dtype)
        self.lr_schedule = LRSchedule(self.optimizer, self.settings, self.steps_per_epoch)
        self.ema = ModelEMA(self.model, self.settings.ema) if self.settings.ema else None
        targets = self.faces.labels if self.faces.votes is None else self.faces.votes
        self.criterion = Criterion(self.settings, targets, self.emotions, self.device)
        self.mixup = MixupCutmix(self.settings, self.emotions)
        self.sam = SharpnessAware(self.model, self.settings.sam, self.settings.sam_every)

    @property
    def eval_model(self) -> nn.Module:
        """The model that is validated and saved: the moving average if there is one."""
        return self.ema.model if self.ema else self.model

    @property
    def phase_end(self) -> int:
        """The last epoch of the phase."""
        return self.phase_start + self.settings.epochs

    @property
    def total_epochs(self) -> int:
        """The last epoch of the training."""
        return self.phase_end + sum(settings.epochs for settings in self.phases[self.phase + 1 :])

    def train_epoch(self, advance: Callable[[int, str], None]) -> Metrics:
        """Train one epoch and return its metrics: train_loss, train_accuracy, train_macro_f1, learning_rate, …

        The loss is the one minimised: that of the criterion, attention consistency, the model's extra loss and the L1
        penalty (not weight decay); of a sharpness-aware step, that at the weights themselves. With soft targets, from
        votes or mixing, accuracy counts the emotion with the largest share. All randomness depends on the seed and the
        epoch number only, so a resumed run ends exactly like an uninterrupted one.

        Raises:
            DivergedError: the loss is not finite.
        """
        settings = self.settings
        size = settings.size_at(self.epoch - self.phase_start, self.preprocessing.input_size)
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        torch.manual_seed(self.seed * 100_003 + self.epoch)  # for dropout, which uses the global generator
        order = torch.randperm(len(self.faces), generator=generator)
        flips = torch.split(self._alternating_flips(order), settings.batch_size)
        losses: list[Tensor] = []
        confusion = torch.zeros(self.emotions**2, dtype=torch.int64, device=self.device)
        self.freezing.train()
        lr, started = self.lr_schedule.value, perf_counter()
        batches = self.faces.batches(order, settings.batch_size, drop_small_last=True)
        for (images, labels_or_votes), flip in zip(batches, flips, strict=False):  # a small last batch may be skipped
            faces = augment(
                self.preprocessing.to_float(images),
                settings,
                size,
                generator,
                flip if settings.alternating_flip else None,
            )
            faces, targets = self.mixup(faces, labels_or_votes, generator)
            step_loss = partial(self.loss, self.preprocessing.normalise(faces), targets)
            logits, loss = self.sam.backward(step_loss, self.scaler, self.steps)
            if settings.clip_norm:
                self.scaler.unscale_(self.optimizer)
                nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
            self.scaler.step(self.optimizer)  # float16 skips a step whose gradient overflows, and lowers the scale
            self.scaler.update()
            self.optimizer.zero_grad()
            self.lr_schedule.step()
            self.steps += 1
            if self.ema:
                self.ema.update(self.steps)
            losses.append(loss.detach())
            labels = targets.argmax(1) if targets.is_floating_point() else targets
            confusion += torch.bincount(labels * self.emotions + logits.detach().argmax(1), minlength=len(confusion))
            if len(losses) % CHECK_EVERY == 0:
                self._check_finite(losses, lr)
            advance(len(labels), "")
        self._check_finite(losses, lr)
        seconds = perf_counter() - started
        self.seconds += seconds
        self.epoch += 1
        matrix = confusion.view(self.emotions, self.emotions).cpu().numpy()
        return {
            "epoch": self.epoch,
            "train_loss": float(torch.stack(losses).mean()),
            "train_accuracy": float(matrix.trace() / matrix.sum()),
            "train_macro_f1": macro_f1(matrix),
            "learning_rate": lr,
            "images_per_second": float(matrix.sum() / seconds),
        }

    def loss(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, classes) of normalised faces (B, C, H, W), and the loss to minimise, a scalar."""
        settings, inputs = self.settings, (x, targets) if self.has_own_loss else (x,)
        consistency = self.attention if settings.attention_consistency else None
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            output, inconsistency = consistency(self.forward, *inputs) if consistency else (self.forward(*inputs), None)
        logits, own_loss = output if self.has_own_loss else (output, None)
        loss = self.criterion(logits.float(), targets)
        if inconsistency is not None:
            loss = loss + settings.attention_consistency * inconsistency
        if own_loss is not None:
            loss = loss + own_loss.float()
        if settings.l1:
            loss = loss + settings.l1 * l1_penalty(self.model)
        return logits, loss

    def _alternating_flips(self, order: Tensor) -> Tensor:
        """Return which of the faces at `order` are mirrored in this epoch by alternating flips.

        A random half starts mirrored, and each face changes every epoch, so it is seen in both orientations equally
        often, unlike with independent flips in a short training (K. Jordan 2024, "alternating flip").
        """
        first = torch.rand(len(self.faces), generator=torch.Generator().manual_seed(self.seed)) < 0.5
        return first[order] ^ bool(self.epoch % 2)

    def _check_finite(self, losses: list[Tensor], lr: float) -> None:
        finite = torch.stack(losses).isfinite()
        advice = ", or set precision to float32" if self.scaler.is_enabled() else ""
        if not bool(finite.all()):
            step = int(finite.logical_not().nonzero()[0]) + 1
            raise DivergedError(
                f"the loss is not finite in epoch {self.epoch + 1}, step {step}, at a learning rate near {lr:.3g}; "
                f"lower lr, or clip the gradient with clip-norm 1{advice}"
            )
        if self.scaler.get_scale() < SMALLEST_SCALE:
            raise DivergedError(f"the gradient is not finite in epoch {self.epoch + 1}, at any scale; lower lr{advice}")

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs: tensors and plain values only."""
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.model.state_dict() if self.ema else None,
            "optimizer": self.optimizer.state_dict(),
            "lr_schedule": self.lr_schedule.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "phase": self.phase,
            "phase_start": self.phase_start,
            "history": self.history,
            "epoch": self.epoch,
            "steps": self.steps,
            "seconds": self.seconds,
        }

    def save(self, file: Path) -> None:
        """Write the state atomically."""
        file.parent.mkdir(exist_ok=True)
        # An open file, because torch reports a full disk as a position in the archive.
        with atomic_path(file) as tmp_path, tmp_path.open("wb") as opened:
            torch.save(self.state(), opened)

    def restore(self, file: Path) -> None:
        """Load the state that `save` wrote.

        Raises:
            FerError: it cannot be read.
        """
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
        except Exception as error:
            raise FerError(f"{file}: cannot be read; remove the folder {file.parents[1]} to start over") from error
        self.enter(state["phase"], state["model"])
        if self.ema:
            self.ema.model.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.lr_schedule.scheduler.load_state_dict(state["lr_schedule"])
        if self.scaler.is_enabled() and state["scaler"]:  # it may have been saved on a device with another dtype
            self.scaler.load_state_dict(state["scaler"])
        self.history, self.epoch, self.steps = state["history"], state["epoch"], state["steps"]
        self.seconds, self.phase_start = state["seconds"], state["phase_start"]


def validate(model: nn.Module, faces: PackDataset, preprocessing: Preprocessing, emotions: int) -> Metrics:
    """Return the metrics of a model on a split: validation_loss (plain cross entropy), _accuracy and _macro_f1.

    All use labels, whatever the training targets, so that runs on votes and on labels are comparable. `temperature`
    calibrates the model's probabilities (`fercli.metrics.calibration`); the loss is without it.
    """
    batches = [
        predict(model, images, preprocessing, device=faces.device)
        for images, _ in faces.batches(torch.arange(len(faces)), 1024)
    ]
    probabilities = torch.cat(batches)
    loss = F.nll_loss(probabilities.clamp(min=1e-12).log(), faces.labels)
    pairs = faces.labels * emotions + probabilities.argmax(1)
    matrix = torch.bincount(pairs, minlength=emotions**2).view(emotions, emotions).numpy()
    return {
        "validation_loss": float(loss),
        "validation_accuracy": float(matrix.trace() / matrix.sum()),
        "validation_macro_f1": macro_f1(matrix),
        "temperature": fit_temperature(probabilities.numpy(), faces.labels.numpy()),
    }
