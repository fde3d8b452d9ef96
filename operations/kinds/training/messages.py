"""The stored parameters and the result of a training, for the API document and typed clients.

A result may have more fields; one of an older worker may lack those that are not required.
"""

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict


class TrainingParameters(BaseModel):
    strategy_yaml: str
    symbols: list[str]
    timeframes: list[str]
    start_date: date | None = None
    end_date: date | None = None
    seed: int
    device: str = "auto"


class TrainedModel(BaseModel):
    sha256: str
    architecture: dict[str, Any] | str
    parameters_count: int
    input_names: list[str]


class PartMetrics(BaseModel):
    """Metrics by name; classification has `loss` and `accuracy`, regression `loss` and `r2`, among others."""

    train: dict[str, Any]
    validation: dict[str, Any]
    test: dict[str, Any]


class PartRows(BaseModel):
    train: int
    validation: int
    test: int


class TrainingResult(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: TrainedModel
    best_epoch: int
    epochs: int
    metrics: PartMetrics
    rows: PartRows
    trained_from: str | None = None
    """The first bar of the training and validation sets."""
    trained_until: str | None = None
    """The last bar that the weights depend on, with those of its labels."""
    device: str
    seconds: float
    samples_per_second: float | None
    stopped: str | None = None
    audit: dict[str, Any] | None = None
    warnings: list[dict[str, Any] | str] | None = None
    """`code` and `message` of each; text in old results."""
    provenance: dict[str, Any] | None = None
