"""A study file with its strategy as the backend uses them, and its errors in the form of the API."""

from functools import lru_cache

from access.problems import Invalid
from operations import strategies
from workers.strategy.errors import StrategyProblem
from workers.studies.binding import BoundStudy, bind
from workers.studies.grammar import StudyError, parse_study

CACHED_STUDIES = 32


@lru_cache(maxsize=CACHED_STUDIES)
def read(study_yaml: str, strategy_yaml: str) -> BoundStudy:
    """Parse both files. Raises Invalid with pointer, line and column of each error."""
    strategies.read(strategy_yaml, "/strategy_yaml")
    try:
        return bind(parse_study(study_yaml), strategy_yaml)
    except StudyError as error:
        errors = [_as_data(problem) for problem in error.errors]
        count = len(errors)
        raise Invalid(f"The study has {count} error{'s' if count > 1 else ''}.", errors=errors) from error


def invalid_study(bound: BoundStudy, at: str, message: str) -> Invalid:
    """Return the error of a study that does not fit the stored data, with its position in the file."""
    (problem,) = bound.study.error([(at, message)]).errors
    return Invalid(message, errors=[_as_data(problem)])


def _as_data(problem: StrategyProblem) -> dict[str, object]:
    return {
        "pointer": f"/study_yaml{problem.pointer}",
        "detail": problem.message,
        "line": problem.line,
        "column": problem.column,
    }
