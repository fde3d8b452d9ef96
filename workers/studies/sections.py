"""The sections of a study file except `search` and `backtest`."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from workers.strategy.sections.base import IsoDate, Section, Symbol
from workers.strategy.sections.training_data import Timeframe
from workers.studies.backtest_settings import BacktestSettings
from workers.studies.search_section import Number, Search

StudyKind = Literal["decisions", "rules", "training"]
MAX_RUNGS = 8

Metric = Literal[
    "sharpe", "sortino", "calmar", "total_return", "cagr", "profit_factor", "max_drawdown", "sqn", "expectancy", "win_rate"
]  # fmt: skip
Counted = Literal[
    "trades", "exposure", "turnover", "sharpe", "total_return", "max_drawdown", "profit_factor", "win_rate"
]
"""Figures that a trial may have to reach before its value counts."""


class StudyData(Section):
    symbols: tuple[Symbol, ...] | None = Field(default=None, min_length=1, max_length=500)
    """Defaults to the strategy's symbols."""
    since: IsoDate | None = None
    """First day (UTC); defaults to the first bar, or to the strategy's start."""
    until: IsoDate | None = None
    """Last day (UTC) of everything that the study may read, the holdout included."""
    timeframe: Timeframe | None = None
    """Only checked: it has to be the strategy's base timeframe."""


class Holdout(Section):
    from_: IsoDate = Field(alias="from")
    """First day (UTC) of the sealed part, which only finalists see."""
    until: IsoDate | None = None
    """Last day (UTC); it has to be that of the data."""


class Objective(Section):
    metric: Metric = "sharpe"
    maximize: bool = True
    over: Literal["folds", "all", "training"] | None = None
    """Defaults to `folds` if the study has a validation, and to `all` of the data before the holdout otherwise."""
    deviations: float = Field(default=1.0, ge=0.0, le=10.0)
    """With several folds the value is the mean minus this many standard deviations."""
    at_least: dict[Counted, Number] = Field(default={}, max_length=8)
    """A trial below one of these figures has no value."""


class WalkForward(Section):
    scheme: Literal["walk_forward"]
    train: int = Field(ge=10, le=10_000_000)
    """Bars of a training window."""
    test: int = Field(ge=1, le=10_000_000)
    """Bars of the test window after it."""
    anchored: bool = False
    """Whether every training window starts with the first bar."""


class PurgedKFold(Section):
    scheme: Literal["purged_kfold"]
    folds: int = Field(default=5, ge=2, le=50)


class CombinatorialPurged(Section):
    scheme: Literal["cpcv"]
    groups: int = Field(default=8, ge=3, le=20)
    test_groups: int = Field(default=2, ge=1, le=10)


Validation = Annotated[WalkForward | PurgedKFold | CombinatorialPurged, Field(discriminator="scheme")]


class Repeat(Section):
    seeds: int = Field(default=1, ge=1, le=100)
    """Trainings of each trial, with different seeds."""


class StopEarly(Section):
    rungs: tuple[int, ...] = Field(min_length=1, max_length=MAX_RUNGS)
    """Epochs after which only the best trials continue, rising."""
    keep: float = Field(default=0.33, gt=0.0, lt=1.0)
    """Share of the trials that continue."""


class Finalists(Section):
    count: int = Field(default=10, ge=1, le=100)
    validation: Validation | None = None


class Budget(Section):
    hours: float | None = Field(default=None, gt=0.0, le=8760.0)
    cpu_hours: float | None = Field(default=None, gt=0.0, le=1_000_000.0)
    parallel: int | None = Field(default=None, ge=1)
    """Batches at the same time; defaults to half of the suitable workers."""
    failures: float = Field(default=0.2, gt=0.0, le=1.0)
    """Share of failed trials among the last 50 that pauses the study."""


class Study(Section):
    """A complete study file. `text` is the file it was parsed from."""

    study: Literal["1.0"]
    """Version of the grammar of studies."""
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    description: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    kind: Literal["auto", "decisions", "rules", "training"] = "auto"
    """`auto`: derived from the parameters. Another value is compared with the derived one."""
    data: StudyData = StudyData()
    holdout: Holdout | None = None
    search: Search
    objective: Objective = Objective()
    validation: Validation | None = None
    repeat: Repeat = Repeat()
    stop_early: StopEarly | None = None
    finalists: Finalists | None = None
    budget: Budget = Budget()
    backtest: BacktestSettings = BacktestSettings()

    def model_dump_spec(self) -> dict[str, Any]:
        """Return the study as JSON values with the defaults filled in."""
        return self.model_dump(mode="json", by_alias=True)
