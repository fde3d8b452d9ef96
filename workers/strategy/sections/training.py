"""`training`: labels, loss, optimiser, stopping and split."""

from math import isclose
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workers.strategy.sections.base import Section
from workers.strategy.sections.labels import Labels

CLASSIFICATION_LOSSES = ("cross_entropy", "focal")
REGRESSION_LOSSES = ("huber", "mse", "mae")


class EarlyStopping(Section):
    """Stop when the validation loss has not fallen by `min_delta` for `patience` epochs. The best epoch's
    weights are restored with or without it."""

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
    """Multiply the learning rate by `factor` when the validation loss has not improved for `patience` epochs."""

    type: Literal["reduce_on_plateau"]
    factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    patience: int = Field(default=5, ge=0, le=100_000)


class CosineSchedule(Section):
    """Half a cosine from the learning rate down to `final_fraction` of it over all epochs."""

    type: Literal["cosine"]
    final_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)


Schedule = StepSchedule | ExponentialSchedule | PlateauSchedule | CosineSchedule


def _expand_schedule(value: Any) -> Any:
    """`true` is reduce_on_plateau with its defaults, `false` is a constant learning rate."""
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
    """Fractions by time, over all symbols at once; test follows validation, validation follows training."""

    train: float = Field(default=0.7, gt=0.0, lt=1.0)
    validation: float = Field(default=0.15, gt=0.0, lt=1.0)
    test: float = Field(default=0.15, ge=0.0, lt=1.0)
    embargo: int | None = Field(default=None, ge=0, le=100_000)
    """Bars left out after each boundary on top of the purge; the label's horizon where absent."""

    @model_validator(mode="after")
    def _check_total(self) -> Self:
        total = self.train + self.validation + self.test
        if not isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"train, validation and test add up to {total:g}, not to 1")
        return self


ClassWeight = Annotated[float, Field(gt=0.0, le=1000.0)]


class Training(Section):
    method: Literal["supervised"] = "supervised"
    labels: Labels
    loss: Literal["cross_entropy", "focal", "huber", "mse", "mae"] | None = None
    """cross_entropy for classification and huber for regression where absent."""
    focal_gamma: float | None = Field(default=None, ge=0.0, le=10.0)
    """2 where absent and the loss is focal."""
    huber_delta: float | None = Field(default=None, gt=0.0, le=1000.0)
    """In units of the label (a return); 0.01 where absent and the loss is huber."""
    label_smoothing: float | None = Field(default=None, ge=0.0, le=0.5)
    """Of cross_entropy; 0 where absent."""
    class_weights: Literal["none", "balanced"] | tuple[ClassWeight, ClassWeight, ClassWeight] = "none"
    """`balanced`: inverse to the class counts of the training part; or short, flat, long by hand."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(default=0.001, gt=0.0, le=10.0)
    """Of the first epoch."""
    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    """Of sgd; 0.9 where absent."""
    weight_decay: float = Field(default=0.0, ge=0.0, le=10.0)
    """Added to the gradient (adam, sgd) or taken off the weights (adamw)."""
    lr_scheduler: LearningRateSchedule = None
    """`true` is reduce_on_plateau with its defaults; without it the learning rate stays."""
    gradient_clip: float | None = Field(default=None, gt=0.0, le=1e6)
    """Largest norm of the whole gradient."""
    batch_size: int = Field(default=256, ge=1, le=1_000_000)
    """Rows a step."""
    epochs: int = Field(default=100, ge=1, le=100_000)
    """At most; the weights of the epoch with the lowest validation loss are kept."""
    early_stopping: EarlyStopping | None = None
    data_split: DataSplit = DataSplit()
