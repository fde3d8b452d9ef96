"""The learning rate of each epoch; its state is small enough for a checkpoint."""

import math
from dataclasses import dataclass
from typing import Any

from workers.strategy.sections.training import (
    CosineSchedule,
    ExponentialSchedule,
    PlateauSchedule,
    StepSchedule,
    Training,
)

MIN_IMPROVEMENT = 1e-4
"""Relative: for the plateau schedule, a loss that fell by less has not improved."""


@dataclass(slots=True)
class LearningRateSchedule:
    config: StepSchedule | ExponentialSchedule | PlateauSchedule | CosineSchedule | None
    base: float
    epochs: int
    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    @classmethod
    def of(cls, config: Training) -> "LearningRateSchedule":
        return cls(config.lr_scheduler, config.learning_rate, config.epochs)

    def rate(self, epoch: int) -> float:
        """Return the learning rate of `epoch`, counted from 1."""
        done = epoch - 1
        match self.config:
            case None:
                return self.base
            case StepSchedule(step_size=size, gamma=gamma):
                return self.base * gamma ** (done // size)
            case ExponentialSchedule(gamma=gamma):
                return self.base * gamma**done
            case CosineSchedule(final_fraction=final):
                share = done / max(1, self.epochs - 1)
                return self.base * (final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * share)))
            case PlateauSchedule():
                return self.base * self.factor

    def record_loss(self, loss: float) -> None:
        """Update the plateau with the validation loss of an epoch."""
        if loss < self.best * (1.0 - MIN_IMPROVEMENT):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if isinstance(self.config, PlateauSchedule) and self.waited > self.config.patience:
            self.factor *= self.config.factor
            self.waited = 0

    def as_data(self) -> dict[str, Any]:
        return {
            "factor": self.factor,
            "best": None if math.isinf(self.best) else self.best,
            "waited": self.waited,
        }

    def restore(self, data: dict[str, Any]) -> None:
        self.factor = float(data["factor"])
        self.best = math.inf if data["best"] is None else float(data["best"])
        self.waited = int(data["waited"])
