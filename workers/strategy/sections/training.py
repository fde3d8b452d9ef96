"""`training`: labels, loss, optimiser, stopping and split."""

from math import isclose
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workers.strategy.sections.base import Section
from workers.strategy.sections.labels import Labels

CLASSIFICATION_LOSSES = ("cross_entropy", "focal")
REGRESSION_LOSSES = ("huber", "mse", "mae")


class EarlyStopping(Section):
    """Stop if the validation loss has not fallen by `min_delta` for `patience` epochs. The weights of the best epoch
    are restored in any case."""

    enabled: bool = True
    patience: int = Field(default=15, ge=1, le=10_000)
    min_delta: float = Field(default=0.0, ge=0.0, le=100.0)


class StepSchedule(Section):
    """Multiply the learning rate by `gamma` every `step_size` epochs."""

    type: Literal["step"]
    step_size: int = Field(default=50, ge=1, le=100_000)
    gamma: float = Field(default=0.5, gt=0.0, le=1.0)


class ExponentialSchedule(Section):
    """Multiply the learning rate by `gamma` every epoch."""

    type: Literal["exponential"]
    gamma: float = Field(default=0.98, gt=0.0, le=1.0)


class PlateauSchedule(Section):
    """Multiply the learning rate by `factor` if the validation loss has not improved for `patience` epochs."""

    type: Literal["reduce_on_plateau"]
    factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    patience: int = Field(default=5, ge=0, le=100_000)


class CosineSchedule(Section):
    """Lower the learning rate along half a cosine to `final_fraction` of it over all epochs."""

    type: Literal["cosine"]
    final_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)


Schedule = StepSchedule | ExponentialSchedule | PlateauSchedule | CosineSchedule


def _expand_schedule(value: Any) -> Any:
    """Expand `true` to reduce_on_plateau with its defaults and `false` to a constant learning rate."""
    if isinstance(value, bool):
        return {"type": "reduce_on_plateau"} if value else None
    return value


LearningRateSchedule = Annotated[
    Annotated[
        StepSchedule | ExponentialSchedule | PlateauSchedule | CosineSchedule, Field(discriminator="type")
    ]
    | None,
    BeforeValidator(_expand_schedule),
]


class DataSplit(Section):
    """Fractions by time, over all symbols together: training first, then validation, then test."""

    train: float = Field(default=0.7, gt=0.0, lt=1.0)
    validation: float = Field(default=0.15, gt=0.0, lt=1.0)
    test: float = Field(default=0.15, ge=0.0, lt=1.0)
    embargo: int | None = Field(default=None, ge=0, le=100_000)
    """Bars left out after each boundary in addition to the purge; the label horizon if absent."""

    @model_validator(mode="after")
    def _check_total(self) -> Self:
        total = self.train + self.validation + self.test
        if not isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"train, validation and test add up to {total:g}; they must add up to 1")
        return self


ClassWeight = Annotated[float, Field(gt=0.0, le=1000.0)]


class Training(Section):
    method: Literal["supervised"] = "supervised"
    labels: Labels
    loss: Literal["cross_entropy", "focal", "huber", "mse", "mae"] | None = None
    """If absent, `cross_entropy` for classification and `huber` for regression."""
    focal_gamma: float | None = Field(default=None, ge=0.0, le=10.0)
    """For `focal`; 2 if absent."""
    huber_delta: float | None = Field(default=None, gt=0.0, le=1000.0)
    """For `huber`, in units of the label (a return); 0.01 if absent."""
    label_smoothing: float | None = Field(default=None, ge=0.0, le=0.5)
    """For `cross_entropy`; 0 if absent."""
    class_weights: Literal["none", "balanced"] | tuple[ClassWeight, ClassWeight, ClassWeight] = "none"
    """`balanced`: inverse to the class counts of the training part. A list sets the weights of short, flat and long."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(default=0.001, gt=0.0, le=10.0)
    """Learning rate of the first epoch."""
    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    """For `sgd`; 0.9 if absent."""
    weight_decay: float = Field(default=0.0, ge=0.0, le=10.0)
    """Added to the gradient (`adam`, `sgd`) or subtracted from the weights (`adamw`)."""
    lr_scheduler: LearningRateSchedule = None
    """`true` is `reduce_on_plateau` with its defaults; if absent, the learning rate is constant."""
    gradient_clip: float | None = Field(default=None, gt=0.0, le=1e6)
    """Maximum norm of the whole gradient."""
    batch_size: int = Field(default=256, ge=1, le=1_000_000)
    """Rows per step."""
    epochs: int = Field(default=100, ge=1, le=100_000)
    """Maximum number of epochs. The weights of the epoch with the lowest validation loss are kept."""
    early_stopping: EarlyStopping | None = None
    data_split: DataSplit = DataSplit()
