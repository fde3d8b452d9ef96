"""Evaluate trials of kind `decisions` and `rules`: decide, simulate, measure. A pure function of the study and the point."""

import time
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from workers.backtesting.engine_rules import Rules
from workers.studies.backtest_settings import BacktestSettings
from workers.studies.binding import BoundStudy
from workers.studies.columns import ColumnsDiffer
from workers.studies.directions import Directions, DirectionSource
from workers.studies.fold_days import fold_days
from workers.studies.market import Market
from workers.studies.messages import Trial, TrialState
from workers.studies.scores import measure, measure_days, objective_value, score, score_names
from workers.studies.search_section import Point
from workers.studies.simulation import Simulator, TrialRun, rules_of
from workers.studies.trial_strategies import TrialStrategies

Floats = NDArray[np.float64]
MAX_SENTENCE = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """The evaluation of one trial."""

    number: int
    state: TrialState
    value: float | None = None
    scores: dict[str, float | None] = field(default_factory=dict)
    of_folds: tuple[float | None, ...] = ()
    """The objective's metric in each fold."""
    cpu_ms: float = 0.0
    """Time on its thread, until `BatchResults.settle` divides the measured processor time."""
    error: str = ""
    daily: Floats | None = None
    """float64[days]; None if the trial failed."""


class Evaluator:
    """Evaluates trials on one market; safe to use from several threads."""

    def __init__(
        self, bound: BoundStudy, market: Market, source: DirectionSource, *, with_folds: bool = True
    ) -> None:
        self.bound, self.market, self._source = bound, market, source
        self.simulator, self._strategies = Simulator(market), TrialStrategies(bound)
        validation, over = bound.study.validation, bound.study.objective.over
        has_folds = with_folds and validation is not None and over != "all"
        self.folds = fold_days(validation, market) if has_folds and validation is not None else []
        self.names = score_names(bound.study.objective)
        self._rules: dict[bool, tuple[BacktestSettings, Rules]] = {}

    def evaluate(self, trial: Trial) -> Outcome:
        """Return the outcome; a trial that raises has failed, unless by a lack of memory or a difference of columns."""
        started = time.perf_counter()
        try:
            outcome = self._measure(trial, self.simulate(trial))
        except (MemoryError, ColumnsDiffer):
            raise
        except Exception as error:
            outcome = Outcome(trial.number, TrialState.FAILED, error=explain(error))
        return replace(outcome, cpu_ms=(time.perf_counter() - started) * 1e3)

    def decide(self, trial: Trial) -> tuple[list[Directions], Rules]:
        """Return the target directions of each symbol and the rules of the trial. Raises BadPoint, InvalidInput."""
        strategy = self._strategies.strategy_of(trial.point)
        settings, rules = self._rules_of(trial.point, allow_short=strategy.allow_short)
        return self._source.directions(strategy, settings.allow_short), rules

    def _rules_of(self, point: Point, *, allow_short: bool) -> tuple[BacktestSettings, Rules]:
        """Return the settings and rules of a point; they are read once for all points that leave them unchanged."""
        if any(name.startswith("/backtest/") for name in point):
            settings = self.bound.settings_of(point)
            return settings, rules_of(settings, allow_short=allow_short)
        if allow_short not in self._rules:
            settings = self.bound.settings_of({})
            self._rules[allow_short] = settings, rules_of(settings, allow_short=allow_short)
        return self._rules[allow_short]

    def simulate(self, trial: Trial) -> TrialRun:
        """Run the trial through the engine. Raises BadPoint, InvalidInput."""
        return self.simulator.run(*self.decide(trial))

    def returns(self, trial: Trial) -> Floats:
        """Return only the daily returns of `simulate`, float64[days]. Raises BadPoint, InvalidInput."""
        return self.simulator.returns(*self.decide(trial))

    def _measure(self, trial: Trial, run: TrialRun) -> Outcome:
        objective, whole = self.bound.study.objective, measure(run, self.market)
        scores = {name: score(whole, name) for name in self.names}
        of_folds = tuple(
            score(measure_days(run, fold.test, self.market), objective.metric) for fold in self.folds
        )
        value = objective_value(objective, scores, of_folds)
        if scores["trades"] == 0:
            value = None
        return Outcome(trial.number, TrialState.COMPLETED, value, scores, of_folds, daily=run.daily)


def explain(error: Exception) -> str:
    """Return an error as one line of at most 300 characters."""
    text = " ".join(f"{error}".split()) or type(error).__name__
    return text if len(text) <= MAX_SENTENCE else text[: MAX_SENTENCE - 4] + " ..."
