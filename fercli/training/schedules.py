"""Learning rate schedules, by name."""

from __future__ import annotations

from torch.optim import Optimizer, lr_scheduler

from fercli.recipes import PhaseSettings

Scheduler = lr_scheduler.LRScheduler | lr_scheduler.ReduceLROnPlateau
BY_STEP = ("cosine", "one-cycle", "cyclic", "warm-restarts", "inverse-time")


class LRSchedule:
    """A learning rate schedule: call `step` after each step and `epoch` after each epoch.

    A step is counted after each batch, even if float16 skipped the update, so that cycles end with their epochs and the
    schedule with the training.

    Args:
        optimizer: The optimiser whose learning rate it sets.
        settings: The settings of a phase of the training.
        steps_per_epoch: Steps per epoch of that phase.
    """

    def __init__(self, optimizer: Optimizer, settings: PhaseSettings, steps_per_epoch: int) -> None:
        self._optimizer = optimizer
        self._by_step = settings.schedule in BY_STEP
        self.scheduler: Scheduler = _scheduler(optimizer, settings, steps_per_epoch)
        # torch warns if a schedule steps before its optimiser, which happens if float16 skips the very first update.
        optimizer._opt_called = True  # type: ignore[attr-defined]

    @property
    def value(self) -> float:
        """The current learning rate."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self) -> None:
        """Advance by one step."""
        if self._by_step:
            self.scheduler.step()  # type: ignore[call-arg]

    def epoch(self, validation_loss: float) -> None:
        """Advance by one epoch."""
        if isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(validation_loss)
        elif not self._by_step:
            self.scheduler.step()


def _scheduler(optimizer: Optimizer, settings: PhaseSettings, steps_per_epoch: int) -> Scheduler:
    steps, cycle, lowest = steps_per_epoch * settings.epochs, steps_per_epoch * settings.cycle, settings.lr_min
    match settings.schedule:
        case "constant":
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)
        case "step":
            return lr_scheduler.StepLR(optimizer, settings.step_size, settings.gamma)
        case "plateau":
            return lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=settings.gamma, patience=settings.plateau_patience, min_lr=lowest
            )
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, steps, lowest)
        case "one-cycle":
            # A warm-up that ends on the very first step is zero steps long, and torch divides by its length.
            warmup = 0.0 if settings.warmup * (steps + 1) == 1 else settings.warmup
            return lr_scheduler.OneCycleLR(
                optimizer, settings.lr, total_steps=steps + 1, pct_start=warmup, cycle_momentum=False
            )
        case "cyclic":
            # Half a cycle may be a fraction of a step: torch accepts floats, whatever its annotation.
            half: int = cycle / 2  # type: ignore[assignment]
            return lr_scheduler.CyclicLR(optimizer, lowest, settings.lr, step_size_up=half, cycle_momentum=False)
        case "warm-restarts":
            return lr_scheduler.CosineAnnealingWarmRestarts(optimizer, cycle, settings.cycle_growth, lowest)
        case "inverse-time":
            decay_rate, decay_steps = settings.decay_rate, settings.decay_steps
            return lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + decay_rate * step / decay_steps))
