"""`search`: the method, the number of trials and the parameters with their values."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workers.strategy.quoting import quote
from workers.strategy.sections.base import Section

MAX_PARAMETERS = 30
MAX_TRIALS = 1_000_000
MAX_TPE_TRIALS = 10_000

Point = dict[str, Any]
"""The value of each searched parameter, by its pointer."""


def _check_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {quote(value)}")
    if not -1e15 <= value <= 1e15:
        raise ValueError(f"must be between -1e15 and 1e15, not {quote(value)}")
    return value


Number = Annotated[Any, BeforeValidator(_check_number)]
"""A whole number stays one: `[5, 50]` gives whole numbers, `[5.0, 50.0]` any number between them."""


class Parameter(Section):
    """The values of one parameter: either `range` or `choices`."""

    range: tuple[Number, Number] | None = None
    """Lowest and highest value, both included."""
    step: Number | None = None
    """Distance between two values; whole numbers have 1 by default, other numbers none."""
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[Any, ...] | None = Field(default=None, min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.range is None) == (self.choices is None):
            raise ValueError("write either range: [low, high] or choices: [a, b]")
        if self.choices is not None:
            self._check_choices()
        else:
            self._check_range()
        return self

    def _check_choices(self) -> None:
        assert self.choices is not None
        if self.step is not None or self.scale != "linear":
            raise ValueError("step and scale belong to range; choices lists the values themselves")
        spellings = [repr(value) for value in self.choices]
        if len(set(spellings)) < len(spellings):
            raise ValueError("a value appears more than once in choices")

    def _check_range(self) -> None:
        assert self.range is not None
        low, high = self.range
        if low >= high:
            raise ValueError(f"the range must rise: {quote(low)} is not below {quote(high)}")
        if self.scale == "log" and low <= 0:
            raise ValueError(f"a range with scale: log must start above 0, not at {quote(low)}")
        if self.step is None:
            return
        if self.scale == "log":
            raise ValueError("step cannot be combined with scale: log; list the values with choices")
        if not 0 < self.step <= high - low:
            raise ValueError(f"step must be above 0 and at most {quote(high - low)}, not {quote(self.step)}")


class Search(Section):
    method: Literal["grid", "random", "halton", "tpe", "list"]
    trials: int | None = Field(default=None, ge=1)
    """Number of points to try; a grid and a list try all of theirs by default."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    parameters: dict[str, Parameter] = Field(default={})
    """JSON pointers into the strategy, or to `/backtest/...`, with the values to try."""
    points: tuple[dict[str, Any], ...] | None = Field(default=None, min_length=1, max_length=10_000)
    """For `method: list`: each point as pointers with values."""
    where: tuple[str, ...] = Field(default=(), max_length=20)
    """Conditions that every point meets, such as `/indicators/fast/period < /indicators/slow/period`."""

    @property
    def pointers(self) -> tuple[str, ...]:
        """The searched parameters in the order of the file."""
        return tuple(self.points[0] if self.points else self.parameters)


def search_problems(search: Search) -> list[tuple[str, str]]:
    """Return the contradictions of a search as pointers and messages."""
    if search.method == "list":
        return _list_problems(search)
    if search.points is not None:
        return [("/search/points", f"points belongs to method: list, not to method: {search.method}")]
    if not search.parameters:
        return [("/search", "parameters is missing here; name at least one parameter with its values")]
    problems = []
    if len(search.parameters) > MAX_PARAMETERS:
        count = len(search.parameters)
        message = (
            f"{count} parameters are searched; the limit is {MAX_PARAMETERS}; fix the less important ones"
        )
        problems.append(("/search/parameters", message))
    return problems + _trials_problems(search)


def _list_problems(search: Search) -> list[tuple[str, str]]:
    if search.parameters:
        return [
            ("/search/parameters", "method: list takes points; remove parameters or choose another method")
        ]
    if not search.points:
        return [("/search", "points is missing here; method: list tries the points that it lists")]
    if search.where:
        return [("/search/where", "method: list tries exactly its points; remove where")]
    first = set(search.points[0])
    if not 0 < len(first) <= MAX_PARAMETERS:
        return [("/search/points/0", f"a point needs 1 to {MAX_PARAMETERS} parameters, not {len(first)}")]
    for position, point in enumerate(search.points):
        if set(point) != first:
            return [
                (f"/search/points/{position}", "every point must have the same parameters as the first one")
            ]
    if search.trials is not None and search.trials > len(search.points):
        message = (
            f"trials is {search.trials:,}, but the list has {len(search.points):,} points; remove trials"
        )
        return [("/search/trials", message)]
    return []


def _trials_problems(search: Search) -> list[tuple[str, str]]:
    if search.trials is None:
        if search.method == "grid":
            return []
        return [("/search", f"trials is missing here; method: {search.method} needs the number of trials")]
    if search.method == "tpe" and search.trials > MAX_TPE_TRIALS:
        message = (
            f"tpe is limited to {MAX_TPE_TRIALS:,} trials, not {search.trials:,}; "
            "use method: halton, trials: 20000"
        )
        return [("/search/trials", message)]
    if search.trials > MAX_TRIALS:
        message = f"a study is limited to {MAX_TRIALS:,} trials, not {search.trials:,}; write trials: 1000000"
        return [("/search/trials", message)]
    return []
