"""A study together with its strategy: the pointers exist, the strategy's grammar accepts every corner, the kind is known."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from workers.strategy.catalog import nearest_name
from workers.strategy.document import read_document
from workers.strategy.errors import StrategyError, StrategyProblem, UnplacedProblem, pointer
from workers.strategy.grammar import RulesStrategy, Strategy, parse_strategy, parse_strategy_values
from workers.strategy.quoting import quote, shorten
from workers.strategy.validation import validation_problems
from workers.studies.backtest_settings import BacktestSettings
from workers.studies.conditions import BadCondition
from workers.studies.grammar import Study
from workers.studies.pointers import NoSuchValue, all_pointers, replace_values, value_at
from workers.studies.search_section import Point
from workers.studies.sections import StudyKind
from workers.studies.space import Space, build_space, trials_of

MAX_CORNERS = 4_096
_BACKTEST = "/backtest/"
_FIXED = ("/name", "/version", "/description")
_FEW_POINTS = 0.1


class BadPoint(ValueError):
    """The grammar refuses the strategy or the settings of a point; `pointer` is the nearest searched parameter."""

    def __init__(self, at: str, message: str) -> None:
        self.pointer, self.message = at, message
        super().__init__(message)


@dataclass(frozen=True)
class BoundStudy:
    study: Study
    strategy: Strategy
    space: Space
    trials: int
    kind: StudyKind
    warnings: tuple[StrategyProblem, ...]
    _values: dict[str, Any] = field(repr=False)

    def strategy_of(self, point: Point) -> Strategy:
        """Return the strategy with the values of a point, parsed again. Raises BadPoint."""
        return _strategy_of(self._values, point)

    def values_of(self, point: Point) -> dict[str, Any]:
        """Return the values of the strategy's file with those of a point."""
        return _replace_in_strategy(self._values, point)

    def settings_of(self, point: Point) -> BacktestSettings:
        """Return the settings of the backtest with the values of a point. Raises BadPoint."""
        return _settings_of(self.study, point)


def bind(study: Study, strategy_yaml: str) -> BoundStudy:
    """Check a study against its strategy.

    Raises StrategyError about the strategy, and StudyError about the study, with every problem's position.
    """
    strategy = parse_strategy(strategy_yaml)
    values = read_document(strategy_yaml).data
    if problems := [*_pointer_problems(study, values)]:
        raise study.error(problems)
    space = build_space(study)
    kind = _kind_of(study, strategy)
    try:
        _require_valid_corners(study, space, values)
        share = space.share_allowed()
    except BadCondition as error:
        raise study.error([("/search/where", str(error))]) from error
    warnings: tuple[StrategyProblem, ...] = ()
    if share < _FEW_POINTS:
        message = (
            f"where leaves {share:.1%} of the points; narrower ranges search the same points with less work"
        )
        warnings = study.error([("/search/where", message)]).errors
    return BoundStudy(study, strategy, space, trials_of(study, space), kind, warnings, values)


def place_of(study: Study, searched: str) -> str:
    """Return the pointer into the study file of a searched parameter."""
    return (
        pointer("search", "points", 0, searched)
        if study.search.points
        else pointer("search", "parameters", searched)
    )


def _pointer_problems(study: Study, values: dict[str, Any]) -> Iterator[UnplacedProblem]:
    known = [*all_pointers(values), *(f"{_BACKTEST}{name}" for name in BacktestSettings.model_fields)]
    pointers = study.search.pointers
    for at in pointers:
        place = place_of(study, at)
        if at in _FIXED:
            yield place, f"{at} does not change a result, so it cannot be searched"
        elif at == "/training_data" or at.startswith("/training_data/"):
            yield place, f"{shorten(at)} cannot be searched: all trials of a study use the same data"
        elif not _exists(at, values):
            near = nearest_name(at, known)
            hint = f"did you mean {near}?" if near else "write the key into the strategy first"
            yield place, f"{quote(at)} is not in the strategy; {hint}"
        elif outer := next((other for other in pointers if at.startswith(other + "/")), None):
            yield (
                place,
                f"{shorten(at)} lies inside {shorten(outer)}, which is searched as well; remove one of them",
            )


def _exists(at: str, values: dict[str, Any]) -> bool:
    if at.startswith(_BACKTEST):
        return at[len(_BACKTEST) :] in BacktestSettings.model_fields
    try:
        value_at(values, at)
    except NoSuchValue:
        return False
    return True


def _kind_of(study: Study, strategy: Strategy) -> StudyKind:
    kind: StudyKind
    if isinstance(strategy, RulesStrategy):
        kind = "rules"
    elif all(at.startswith(("/decisions/", _BACKTEST)) for at in study.search.pointers):
        kind = "decisions"
    else:
        kind = "training"
    if study.kind not in ("auto", kind):
        raise study.error(
            [("/kind", f"the searched parameters make this a study of kind {kind}, not {study.kind}")]
        )
    if kind != "training" and (problems := [*_training_only(study, kind)]):
        raise study.error(problems)
    return kind


def _training_only(study: Study, kind: StudyKind) -> Iterator[UnplacedProblem]:
    if study.stop_early is not None:
        yield (
            "/stop_early",
            f"a study of kind {kind} trains nothing, so there is nothing to stop; remove stop_early",
        )
    if study.repeat.seeds > 1:
        yield "/repeat", f"a study of kind {kind} trains nothing, so all seeds give the same; remove repeat"


def _require_valid_corners(study: Study, space: Space, values: dict[str, Any]) -> None:
    for point in space.corners(MAX_CORNERS):
        try:
            _strategy_of(values, point)
            _settings_of(study, point)
        except BadPoint as error:
            shown = shorten(", ".join(f"{name} = {_shown(value)}" for name, value in point.items()))
            message = f"the grammar refuses the point {shown}: {error.message}"
            raise study.error([(place_of(study, error.pointer), message)]) from error


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return str(list(value)) if isinstance(value, tuple) else quote(value)


def _strategy_of(values: dict[str, Any], point: Point) -> Strategy:
    try:
        return parse_strategy_values(_replace_in_strategy(values, point))
    except StrategyError as error:
        problem = error.errors[0]
        message = f"{shorten(problem.pointer)}: {problem.message}"
        raise BadPoint(_searched_near(problem.pointer, point), message) from error


def _replace_in_strategy(values: dict[str, Any], point: Point) -> dict[str, Any]:
    changes = {at: value for at, value in point.items() if not at.startswith(_BACKTEST)}
    changed: dict[str, Any] = replace_values(values, changes)
    return changed


def _settings_of(study: Study, point: Point) -> BacktestSettings:
    changes = {at[len(_BACKTEST) :]: value for at, value in point.items() if at.startswith(_BACKTEST)}
    settings = study.backtest.model_dump() | changes
    try:
        return BacktestSettings.model_validate(settings)
    except ValidationError as error:
        at, message = validation_problems(error, settings, BacktestSettings)[0]
        raise BadPoint(f"{_BACKTEST}{at[1:]}", message) from error


def _searched_near(at: str, point: Point) -> str:
    """Return the searched parameter to which a problem of the strategy belongs, or the first one."""
    related = (name for name in point if at == name or at.startswith(name + "/") or name.startswith(at + "/"))
    return next(related, next(iter(point)))
