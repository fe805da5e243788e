"""The training loop: one call per epoch, and the state to resume an interrupted run from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from fercli.distributed.batch_norm import synchronised
from fercli.distributed.group import ALONE, Group
from fercli.errors import DivergedError
from fercli.metrics.confusion import macro_f1
from fercli.models.ema import ModelEMA
from fercli.models.preprocessing import Preprocessing
from fercli.packs.loading import PackDataset, split_batches
from fercli.recipes import PhaseSettings
from fercli.training.augment import augment, draw_augmentation
from fercli.training.division import Division, Draws
from fercli.training.forward import TrainingForward
from fercli.training.freezing import FreezeSchedule
from fercli.training.losses import class_weights, cross_entropy, l1_penalty
from fercli.training.mixup import MixupCutmix
from fercli.training.optim.factory import make_optimizer
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
        accumulate: Number of parts of a batch that are processed one after another.
        group: The processes of the training, with one device each.
        sync_batch_norm: Whether batch norm uses the faces of all devices, instead of each device's own.
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
    accumulate: int = 1
    group: Group = ALONE
    sync_batch_norm: bool = True
    history: list[Metrics] = field(default_factory=list)
    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0
    phase: int = 0
    phase_start: int = 0

    def __post_init__(self) -> None:
        if self.sync_batch_norm and self.group.size > 1:
            self.model = synchronised(self.model, self.device)
        self.freezing = FreezeSchedule(self.model, self.phases, tuple(self.backbone))
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self.forward = TrainingForward(
            self.model, self.device, self.group, compile=self.compile, sync_batch_norm=self.sync_batch_norm
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.enter(0)

    def enter(self, phase: int, weights: dict[str, Tensor] | None = None) -> None:
        """Start a phase of the training, with a new optimiser and schedule.

        Args:
            phase: Its index, from 0.
            weights: The model's state to start from; None: as it is. All processes get that of the leader.
        """
        self.phase, self.phase_start, self.settings = phase, self.epoch, self.phases[phase]
        if weights is not None:
            self.model.load_state_dict(weights)
        self.group.broadcast_(self.model.state_dict().values())
        self.freezing.enter(phase)
        self.forward.enter_phase()
        batches = split_batches(torch.arange(len(self.faces)), self.settings.batch_size)
        self.steps_per_epoch = len(batches)
        self.optimizer = make_optimizer(self.model, self.settings, self.dtype)
        self.lr_schedule = LRSchedule(self.optimizer, self.settings, self.steps_per_epoch)
        self.ema = ModelEMA(self.model, self.settings.ema) if self.settings.ema else None
        weighted = self.settings.class_weights
        self.class_weight = class_weights(self.faces.targets, self.emotions).to(self.device) if weighted else None
        self.mixup = MixupCutmix(self.settings, self.emotions)
        self.division = Division(self.group, self.accumulate, self.mixup.enabled)
        self.division.check(batches)

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

        The loss is the one minimised: cross entropy, the model's extra loss and the L1 penalty (not weight decay). With
        soft targets, from votes or mixing, accuracy counts the emotion with the largest share. All randomness depends
        on the seed and the epoch number only, so a resumed run ends exactly like an uninterrupted one.

        Raises:
            DivergedError: the loss is not finite.
        """
        settings = self.settings
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        # For dropout, which uses the global generator; other devices have other faces.
        torch.manual_seed(self.seed * 100_003 + self.epoch + (self.group.rank << 40))
        order = torch.randperm(len(self.faces), generator=generator)
        flips = self._alternating_flips(order)
        batches = split_batches(order, settings.batch_size)
        parts = self.faces.fetch([batch[part] for batch in batches for part in self.division.own_parts(len(batch))])
        losses: list[Tensor] = []
        confusion = torch.zeros(self.emotions**2, dtype=torch.int64, device=self.device)
        self.freezing.train()
        lr, started = self.lr_schedule.value, perf_counter()
        for batch, flip in zip(batches, torch.split(flips, settings.batch_size), strict=False):
            drawn = Draws(
                draw_augmentation(len(batch), generator),
                flip if settings.alternating_flip else None,
                self.mixup.draw(generator),
            )
            losses.append(self._backward(batch, parts, drawn, confusion))
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
            if len(losses) % CHECK_EVERY == 0:
                self._check_finite(losses, lr)
            advance(len(batch), "")
        self._check_finite(losses, lr)
        if not self.sync_batch_norm:
            self.group.broadcast_(self.eval_model.buffers())  # each device has its own running statistics
        seconds = perf_counter() - started
        self.seconds += seconds
        self.epoch += 1
        matrix = self.group.sum_(confusion).view(self.emotions, self.emotions).cpu().numpy()
        return self.group.broadcast(
            {
                "epoch": self.epoch,
                "train_loss": float(self.group.sum_(torch.stack(losses)).mean()),
                "train_accuracy": float(matrix.trace() / matrix.sum()),
                "train_macro_f1": macro_f1(matrix),
                "learning_rate": lr,
                "images_per_second": float(matrix.sum() / seconds),
            }
        )

    def _backward(
        self, batch: Tensor, parts: Iterator[tuple[Tensor, Tensor]], drawn: Draws, confusion: Tensor
    ) -> Tensor:
        """Add the gradient of a batch's loss to the parameters, and its predictions to the confusion matrix.

        Args:
            batch: Indices of its faces, (B,).
            parts: Yields this device's parts of it.
            drawn: Random numbers for the batch.
            confusion: Flat confusion matrix of this device's faces.

        Returns:
            This device's share of the batch's mean loss, a scalar; the shares of all devices add up to it.
        """
        settings, loss_sum = self.settings, torch.zeros((), device=self.device)
        size = settings.size_at(self.epoch - self.phase_start, self.preprocessing.input_size)
        own = self.division.own_parts(len(batch))
        for number, positions in enumerate(own):
            images, targets = next(parts)
            flip = None if drawn.flips is None else drawn.flips[positions]
            faces = augment(self.preprocessing.to_float(images), settings, size, drawn.uniform[positions], flip)
            faces, targets = self.mixup(faces, targets, drawn.mix)
            if self.division.overlaps:
                faces, targets = faces[1:], targets[1:]
            last = number == len(own) - 1
            with nullcontext() if last else self.forward.accumulating():
                logits, loss = self.loss(self.preprocessing.normalise(faces), targets)
                if self.division.parts > 1:
                    loss = loss * (self._weight(targets) / self._weight(self.faces.targets[batch]))
                # DistributedDataParallel divides the sum of the devices' gradients by their number.
                self.scaler.scale(loss * self.group.size).backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.detach()
            labels = targets.argmax(1) if targets.is_floating_point() else targets
            confusion += torch.bincount(labels * self.emotions + logits.detach().argmax(1), minlength=len(confusion))
        return loss_sum

    def _weight(self, targets: Tensor) -> Tensor | int:
        """Return by how much the mean loss of these faces counts in that of a batch: their total class weight."""
        if self.class_weight is None:
            return len(targets)
        weight = self.class_weight.to(targets.device)
        return (targets @ weight if targets.is_floating_point() else weight[targets]).sum()

    def loss(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, classes) of normalised faces (B, C, H, W), and the loss to minimise, a scalar."""
        settings = self.settings
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits, own_loss = self.forward(x, targets)
        loss = cross_entropy(logits.float(), targets, self.class_weight, settings.label_smoothing)
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
        finite = self.group.sum_(torch.stack(losses)).isfinite()
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

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.enter(state["phase"], state["model"])
        if self.ema:
            self.ema.model.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.lr_schedule.scheduler.load_state_dict(state["lr_schedule"])
        if self.scaler.is_enabled() and state["scaler"]:  # it may have been saved on a device with another dtype
            self.scaler.load_state_dict(state["scaler"])
        self.history, self.epoch, self.steps = state["history"], state["epoch"], state["steps"]
        self.seconds, self.phase_start = state["seconds"], state["phase_start"]
