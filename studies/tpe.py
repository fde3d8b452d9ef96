"""Proposals of the tree-structured Parzen estimator that do not depend on who runs the trials, or when.

Trial n is proposed from the results of the trials 0 to n - W only (W is the study's window); those between count as
running, and the sampler is seeded with a hash of seed and n. Optuna's own ask and tell depends on the order in which
workers finish. Only `run_studies` imports this module: it loads numpy and Optuna.
"""

import warnings
from hashlib import sha256
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState as OptunaState

from studies.models import Study, StudyTrial, TrialState
from workers.studies.axis import Axis
from workers.studies.search_section import Point
from workers.studies.space import Space

OPTUNA_VERSION = str(optuna.__version__)
MAX_REFUSED = 20
"""Proposals that `where` refuses before a random point is taken."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


class TreeParzen:
    """The estimator of one study in memory, rebuilt from rows: trials below `_told` have their result, later ones run."""

    def __init__(self, space: Space, study: Study) -> None:
        self._space = space
        self._window = study.window
        self._distributions = {axis.pointer: distribution(axis) for axis in space.axes}
        direction: Literal["maximize", "minimize"] = "maximize" if study.maximizes else "minimize"
        self._optuna = optuna.create_study(direction=direction)
        self._numbers: list[int] = []
        """Optuna's number of each trial: it numbers its proposals as well."""
        self._told = 0
        self._restore(study)

    def propose(self, study: Study, first: int, count: int) -> list[Point]:
        """Return the points of consecutive trials; the results up to `first + count - 1 - W` are in the rows."""
        assert first == len(self._numbers), "a study proposes its trials in order"
        results = self._results(study, first + count - self._window)
        return [self._propose(study.seed, number, results) for number in range(first, first + count)]

    def _propose(self, seed: int, number: int, results: dict[int, tuple[str, float | None]]) -> Point:
        while self._told <= number - self._window:
            self._tell(self._told, *results[self._told])
            self._told += 1
        for attempt in range(MAX_REFUSED):
            self._optuna.sampler = new_sampler(seed, number, attempt)
            trial = self._optuna.ask(self._distributions)
            point = {axis.pointer: value_of(axis, trial.params[axis.pointer]) for axis in self._space.axes}
            # Optuna ignores a failed trial. The point is added as from a row: rounded, with no other memory of it.
            self._optuna.tell(trial, state=OptunaState.FAIL)
            if self._space.allows(point):
                break
        else:
            point = self._space.point(number)
        self._add(point)
        return point

    def _results(self, study: Study, end: int) -> dict[int, tuple[str, float | None]]:
        rows = StudyTrial.objects.filter(study=study, number__gte=self._told, number__lt=max(end, 0))
        return {
            # A trial that waits at a rung of early stopping has a result already.
            number: (TrialState.COMPLETED.value if rung and state == TrialState.RUNNING else state, value)
            for number, state, value, rung in rows.values_list("number", "state", "value", "rung")
        }

    def _tell(self, number: int, state: str, value: float | None) -> None:
        assert state != TrialState.RUNNING, f"trial {number} has no result yet"
        if state == TrialState.COMPLETED and value is not None:
            self._optuna.tell(self._numbers[number], value)
        else:
            self._optuna.tell(self._numbers[number], state=OptunaState.FAIL)

    def _restore(self, study: Study) -> None:
        for point in (
            StudyTrial.objects.filter(study=study).order_by("number").values_list("parameters", flat=True)
        ):
            self._add(point)

    def _add(self, point: Point) -> None:
        """Add a trial that runs, with this point."""
        params = {axis.pointer: parameter_of(axis, point[axis.pointer]) for axis in self._space.axes}
        trial = optuna.trial.create_trial(
            state=OptunaState.RUNNING, params=params, distributions=self._distributions
        )
        self._numbers.append(len(self._optuna.get_trials(deepcopy=False)))
        self._optuna.add_trial(trial)


def new_sampler(seed: int, number: int, attempt: int) -> optuna.samplers.TPESampler:
    digest = sha256(f"{seed}:{number}:{attempt}".encode()).digest()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=int.from_bytes(digest[:4], "big"), multivariate=True, constant_liar=True
        )


def distribution(axis: Axis) -> BaseDistribution:
    """Return the axis as Optuna's distribution; of several values it knows only their positions."""
    parameter = axis.parameter
    if parameter.choices is not None:
        return CategoricalDistribution(range(len(parameter.choices)))
    low, high = axis.extremes[0], axis.extremes[-1]
    if axis.is_whole:
        step = 1 if parameter.scale == "log" else parameter.step or 1
        return IntDistribution(low, high, log=parameter.scale == "log", step=step)
    return FloatDistribution(low, high, log=parameter.scale == "log", step=parameter.step)


def value_of(axis: Axis, parameter: Any) -> Any:
    return axis.parameter.choices[parameter] if axis.parameter.choices is not None else axis.round(parameter)


def parameter_of(axis: Axis, value: Any) -> Any:
    """Return Optuna's value for that of a row, where lists are JSON."""
    if axis.parameter.choices is None:
        return value
    return next(position for position, choice in enumerate(axis.parameter.choices) if _same(choice, value))


def _same(choice: Any, value: Any) -> bool:
    return repr(choice) == repr(_tuples(value))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
