"""The parameters and results of the operations of a study, which site and workers share.

`study_batch` and `study_training_batch` evaluate consecutive trials; `study_report` judges the winner. This module and
everything that it imports need only pydantic.
"""

import itertools
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

MAX_TRIALS = 5_000
"""Of a batch: its result, as JSON, stays below the limit of a result (1 MB)."""
BLOCKS = 16
"""Blocks of days whose moments are kept of each trial."""
MAX_KEPT_RETURNS = 32
"""Trials of a batch whose daily returns are kept: the best ones and a fixed random sample."""
MAX_KEPT_TRAININGS = 512
"""The same for trainings, which a report does not repeat: at most 10 MB with 5,000 days."""

TRIALS_FILE, MOMENTS_FILE, RETURNS_FILE = "trials.parquet", "moments.npy", "returns.npy"
BATCH_FILES = (TRIALS_FILE, MOMENTS_FILE, RETURNS_FILE)
EVIDENCE_FILE = "evidence.npz"
"""Of a batch of kind `decisions` or `rules`: what the verdict needs of the returns of its trials (`running_evidence`)."""
DETAILS_FILE = "details.zip"
"""`NUMBER.json` for each trial of the batch: folds, and of a training also learning curves and log."""
RUNG_FILE = "rung.zip"
"""`NUMBER.zip` for each trial that waits at a rung of early stopping: what the next rung continues from."""
FINALIST_FILE = "finalist.json"
REPORT_FILE = "report.json"
MAX_REPORT_BYTES = 2_000_000

Pointer = Annotated[str, Field(min_length=2, max_length=400)]
"""A JSON pointer (RFC 6901) into the strategy, or into `/backtest`."""
Number = Annotated[int, Field(ge=0, lt=2**32)]
Milliseconds = Annotated[float, Field(ge=0.0, le=1e12)]
"""Of processor time: at most 31 years, so that no sum over trials is infinite."""
StudyKind = Literal["decisions", "rules", "training"]


def training_seed(seed: int) -> int:
    """Return the seed of an operation that trains a point of a study with this seed: that of a request is below 2^32."""
    return seed % 2**32


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Trial(_Message):
    """One point of the search space. Its evaluation is a pure function of the study and its number."""

    number: Number
    point: dict[Pointer, JsonValue]


class SearchData(_Message):
    """The data of a study. Dates are UTC days, both included; the holdout begins after `end_date`."""

    symbols: tuple[str, ...] = Field(min_length=1, max_length=500)
    start_date: date | None = None
    end_date: date | None = None


class BatchParameters(SearchData):
    """Parameters of `study_batch` (`decisions` and `rules`) and of `study_training_batch` (`training`).

    Inputs of the operation: `bars/SYMBOL/TIMEFRAME.parquet`; for `decisions` also `model/model.safetensors` and
    `model/model.json`; after a rung of early stopping also `NAME/rung.zip` of the batches that ran it.
    """

    strategy_yaml: str = Field(max_length=1_000_000)
    study_yaml: str = Field(max_length=200_000)
    kind: StudyKind
    seed: int = Field(default=42, ge=0, le=2**63 - 1)
    rung: int = Field(default=0, ge=0, le=1000)
    """Position in the rungs of early stopping, from 1; 0 without early stopping."""
    model: str | None = None
    """The training operation whose model `decisions` uses, for information."""
    trials: tuple[Trial, ...] = Field(min_length=1, max_length=MAX_TRIALS)

    @model_validator(mode="after")
    def _check_numbers(self) -> Self:
        numbers = [trial.number for trial in self.trials]
        if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
            raise ValueError("the trials must be in increasing order of their numbers, each once")
        return self


class TrialState(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED_EARLY = "stopped_early"


class BatchResult(_Message):
    """The result of a batch: one entry per trial in each list, in the order of the parameters.

    Artifacts: `trials.parquet`, `moments.npy` (float64[trials, 16, 2]: sum and sum of squares of the daily returns of
    each block; NaN for a trial without them), `returns.npy` (float32[kept, days], at most 32 rows, of trainings 512);
    except of trainings `evidence.npz` (maxima over the trials, for the verdict).
    """

    number: list[Number]
    state: list[TrialState]
    value: list[float | None]
    """The objective; None for a failed trial, and where the metric is undefined (no trades)."""
    scores: dict[str, list[float | None]]
    """Metrics on the test parts, by name."""
    cpu_ms: list[Milliseconds]
    errors: dict[str, str] = Field(default_factory=dict)
    """Number of a failed trial -> a sentence."""
    kept: list[Number] = Field(default_factory=list)
    """Trials of the rows of `returns.npy`."""
    days: int = Field(default=0, ge=0)
    """Daily returns of each trial."""
    stopped: Literal["", "cancelled"] = ""

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        lengths = {len(self.state), len(self.value), len(self.cpu_ms), *map(len, self.scores.values())}
        if lengths != {len(self.number)}:
            raise ValueError("each column must have one entry per trial")
        return self


class BatchFiles(_Message):
    """One batch whose files are inputs `NAME/trials.parquet`, `NAME/moments.npy`, `NAME/returns.npy` and, except of
    trainings, `NAME/evidence.npz`."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    rung: int = Field(default=0, ge=0, le=1000)


class Holdout(_Message):
    """The sealed last part of the data. Dates are UTC days, both included."""

    start_date: date
    end_date: date | None = None
    looks: int = Field(default=1, ge=0)
    """How often the holdout has been used, this time included; 0 leaves it sealed."""


class FinalistParameters(SearchData):
    """Parameters of `study_finalist`: one of the best trials of a study of trainings. Inputs: the bars."""

    strategy_yaml: str = Field(max_length=1_000_000)
    study_yaml: str = Field(max_length=200_000)
    seed: int = Field(default=42, ge=0, le=2**63 - 1)
    trial: Trial
    holdout: Holdout | None = None


class FinalistResult(_Message):
    """The result of `study_finalist`; the artifact `finalist.json` contains its curves."""

    number: Number
    folds: int = 0
    """Of `finalists.validation`."""
    holdout_sharpe: float | None = None


class ReportParameters(SearchData):
    """Parameters of `study_report`. Inputs of the operation: those of a batch, and the files of `batches`.

    Of a study of trainings also `NAME/finalist.json` for each name in `finalists`.

    The bars have to reach to the end of the holdout; the report uses the later bars for the holdout only.
    """

    study: str = Field(min_length=1, max_length=128)
    """Id of the study, for information."""
    name: str = Field(default="", max_length=200)
    strategy_yaml: str = Field(max_length=1_000_000)
    study_yaml: str = Field(max_length=200_000)
    kind: StudyKind
    seed: int = Field(default=42, ge=0, le=2**63 - 1)
    model: str | None = None
    batches: tuple[BatchFiles, ...] = Field(min_length=1, max_length=20_000)
    finalists: tuple[str, ...] = Field(default=(), max_length=100)
    counted_before: int = Field(default=0, ge=0)
    """Distinct trials counted on these data before the study."""
    holdout: Holdout | None = None


class Verdict(StrEnum):
    BELIEVED = "believed"
    OPEN = "open"
    LUCK = "luck"


class Reason(_Message):
    """One finding of the verdict, as a sentence."""

    code: str
    message: str
    passed: bool | None
    """None where the figure cannot be computed."""


class Headline(_Message):
    """The figures that lists and pages show beside the verdict; None where undefined."""

    sharpe: float | None = None
    """Annual, of the winner over the search data."""
    needed_sharpe: float | None = None
    """Annual; the expected best of this many trials without skill."""
    trials_counted: int = 0
    effective_trials: float | None = None
    """The number of independent trials whose expected best is the same."""
    dsr: float | None = None
    pbo: float | None = None
    reality_check_p: float | None = None
    spa_p: float | None = None
    plateau: float | None = None
    walk_forward_efficiency: float | None = None
    holdout_sharpe: float | None = None


class Best(_Message):
    """The winner of a study."""

    number: Number
    value: float
    point: dict[Pointer, JsonValue]


class ReportResult(_Message):
    """The result of `study_report`. Artifacts: `report.json`, at most 2 MB, and `trials.parquet` of all batches."""

    verdict: Verdict
    reasons: list[Reason]
    figures: Headline
    best: Best | None
    states: dict[TrialState, int]
    warnings: list[dict[str, str]] = Field(default_factory=list)
