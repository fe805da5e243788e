"""The training loop: one call per epoch, and the state to resume an interrupted run from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from fercli.distributed.batch_norm import synchronised
from fercli.distributed.group import ALONE, Group
from fercli.metrics.confusion import macro_f1
from fercli.models.ema import ModelEMA
from fercli.models.preprocessing import Preprocessing
from fercli.packs.loading import PackDataset, split_batches
from fercli.recipes import PhaseSettings
from fercli.training.affect import AffectLoss, emotion_targets
from fercli.training.attention_consistency import AttentionConsistency
from fercli.training.augment import alternating_flips, augment, draw_augmentation
from fercli.training.criterion import Criterion
from fercli.training.divergence import check_finite
from fercli.training.division import Division, Draws
from fercli.training.forward import TrainingForward
from fercli.training.freezing import FreezeSchedule
from fercli.training.losses import l1_penalty
from fercli.training.mixup import MixupCutmix
from fercli.training.optim.factory import make_optimizer
from fercli.training.sam import SharpnessAware
from fercli.training.schedules import LRSchedule

CHECK_EVERY = 50
"""Steps between checks of the loss: each check waits for the device."""

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
        augment: `augment`, or `choose_view` for features instead of faces.
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
    augment: Callable[..., Tensor] = augment
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
            self.model,
            self.device,
            self.group,
            self.preprocessing.shape,
            compile=self.compile,
            sync_batch_norm=self.sync_batch_norm,
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        wanted = any(settings.attention_consistency for settings in self.phases)
        self.attention = AttentionConsistency(self.model, self.preprocessing) if wanted else None
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
        targets, joint = emotion_targets(self.faces.targets, self.emotions), self.faces.joint
        self.criterion = Criterion(self.settings, targets, self.emotions, self.device)
        self.mixup = MixupCutmix(self.settings, self.emotions if joint is None else joint.shape[1])
        mixing = self.mixup.enabled
        self.affect = None if joint is None else AffectLoss(self.settings, self.emotions, mixing=mixing)
        self.sam = SharpnessAware(self.model, self.settings.sam, self.settings.sam_every)
        self.division = Division(self.group, self.accumulate, mixing)
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

        The loss is the one minimised: that of the criterion, valence and arousal, attention consistency, the model's
        extra loss and the L1 penalty (not weight decay); of a sharpness-aware step, that at the weights themselves.
        With soft targets, from votes or mixing, accuracy counts the emotion with the largest share. All randomness
        depends on the seed and the epoch number only, so a resumed run ends exactly like an uninterrupted one.

        Raises:
            DivergedError: the loss is not finite.
        """
        settings = self.settings
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        # For dropout, which uses the global generator; other devices have other faces.
        torch.manual_seed(self.seed * 100_003 + self.epoch + (self.group.rank << 40))
        order = self.faces.epoch_order(generator)
        flips = alternating_flips(order, self.seed, self.epoch)
        batches = split_batches(order, settings.batch_size)
        parts = self.faces.fetch([batch[part] for batch in batches for part in self.division.own_parts(len(batch))])
        losses: list[Tensor] = []
        confusion = torch.zeros(self.emotions**2, dtype=torch.int64, device=self.device)
        self.freezing.train()
        lr, started = self.lr_schedule.value, perf_counter()
        for batch, flip in zip(batches, torch.split(flips, settings.batch_size), strict=False):
            mirrored = flip if settings.alternating_flip else None
            drawn = Draws(draw_augmentation(len(batch), generator), mirrored, self.mixup.draw(generator))
            own = [self._prepare(positions, next(parts), drawn) for positions in self.division.own_parts(len(batch))]
            found = self.sam.backward(partial(self._backward, own, self.faces.targets[batch]), self.steps)
            losses.append(found[0])
            confusion += found[1]
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
                check_finite(self.group.sum_(torch.stack(losses)), self.scaler, self.epoch + 1, lr)
            advance(len(batch), "")
        check_finite(self.group.sum_(torch.stack(losses)), self.scaler, self.epoch + 1, lr)
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

    def _prepare(self, positions: Tensor, part: tuple[Tensor, Tensor], drawn: Draws) -> tuple[Tensor, Tensor]:
        """Augment and mix the faces of a part of a batch.

        Args:
            positions: Of its faces in the batch, (P,).
            part: Its faces, uint8 (P, C, H, W), and targets.
            drawn: Random numbers for the batch.

        Returns:
            Normalised faces, and targets.
        """
        settings, (images, targets) = self.settings, part
        size = settings.size_at(self.epoch - self.phase_start, self.preprocessing.input_size)
        flips = None if drawn.flips is None else drawn.flips[positions]
        faces = self.augment(self.preprocessing.to_float(images), settings, size, drawn.uniform[positions], flips)
        faces, targets = self.mixup(faces, targets, drawn.mix)
        first = int(self.division.overlaps)
        return self.preprocessing.normalise(faces[first:]), targets[first:]

    def _backward(self, parts: Sequence[tuple[Tensor, Tensor]], batch: Tensor) -> tuple[Tensor, Tensor]:
        """Add the gradient of a batch's mean loss to those of the parameters.

        Args:
            parts: Normalised faces and targets of this device's parts of the batch.
            batch: Targets of the whole batch, not mixed yet.

        Returns:
            This device's share of the batch's mean loss, a scalar: the shares of all devices add up to it; and the flat
            confusion matrix of its faces.
        """
        total = torch.zeros((), device=self.device)
        confusion = torch.zeros(self.emotions**2, dtype=torch.int64, device=self.device)
        whole = self.criterion.weight_of(emotion_targets(batch, self.emotions)) if self.division.parts > 1 else 0
        count = self.affect.count(batch) if self.affect else 0
        for number, (faces, joint) in enumerate(parts, 1):
            targets = emotion_targets(joint, self.emotions)
            with nullcontext() if number == len(parts) else self.forward.accumulating():
                outputs, loss = self.loss(faces, targets)
                if self.division.parts > 1:
                    loss = loss * (self.criterion.weight_of(targets) / whole)
                if self.affect:
                    loss = loss + self.affect(outputs.float(), joint, count)
                # DistributedDataParallel divides the sum of the devices' gradients by their number.
                self.scaler.scale(loss * self.group.size).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            labels = targets.argmax(1) if targets.is_floating_point() else targets
            predicted = outputs[:, : self.emotions].detach().argmax(1)
            confusion += torch.bincount(labels * self.emotions + predicted, minlength=len(confusion))
        return total, confusion

    def loss(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs for normalised faces (B, C, H, W), and the loss without valence and arousal, a scalar."""
        settings = self.settings
        consistency = self.attention if settings.attention_consistency else None
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            if consistency is None:
                outputs, own_loss = self.forward(x, targets)
            else:
                (outputs, own_loss), inconsistency = consistency(self.forward, x, targets)
        loss = self.criterion(outputs[:, : self.emotions].float(), targets)
        if consistency is not None:
            loss = loss + settings.attention_consistency * inconsistency
        if own_loss is not None:
            loss = loss + own_loss.float()
        if settings.l1:
            loss = loss + settings.l1 * l1_penalty(self.model)
        return outputs, loss

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
