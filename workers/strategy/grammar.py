"""The strategy file: KTRDR's v3 grammar, strict.

`parse_strategy` refuses every unknown key, wrong type and dangling reference with its place and the nearest
valid name. What it returns is frozen, complete (defaults are filled in) and used as it stands by training and
backtesting. This module and everything that it imports need pydantic and PyYAML only.
"""

from typing import Any

from pydantic import ValidationError

from workers.strategy.cross_checks import find_contradictions, unanchored_warnings, unused_warnings
from workers.strategy.definition import Feature, Strategy
from workers.strategy.document import Document, read_document
from workers.strategy.errors import StrategyError, StrategyProblem
from workers.strategy.fuzzy_coverage import coverage_warnings
from workers.strategy.indicator_reading import read_indicators
from workers.strategy.legacy import modernise
from workers.strategy.validation import validation_problems

__all__ = ["Feature", "Strategy", "StrategyError", "StrategyProblem", "parse_strategy"]


def parse_strategy(text: str) -> Strategy:
    """The strategy that `text` describes.

    Raises `StrategyError` whose `errors` name every problem found, each with pointer, line, column and message.
    """
    document = read_document(text)
    if not isinstance(document.data, dict):
        raise _refusal(
            document, [("", "a strategy file is a list of sections such as name:, indicators:, model:")]
        )
    data, moved, problems = modernise(document.data)
    places = _Places(document, moved)
    if problems:
        raise _refusal(places, problems)
    data, problems = read_indicators(data)
    strategy, further = _validate(data)
    if problems:
        # What is left of the section is not what the author wrote.
        further = [problem for problem in further if problem[0] != "/indicators"]
    if strategy is None or problems or further:
        raise _refusal(places, problems + further)
    if found := find_contradictions(strategy):
        raise _refusal(places, found)
    return _complete(strategy, text, places)


class _Places:
    """Where a pointer into the modernised file stands in the text."""

    def __init__(self, document: Document, moved: dict[str, str]) -> None:
        self._document = document
        self._moved = moved

    def problem(self, at: str, message: str) -> StrategyProblem:
        for new, old in self._moved.items():
            if at == new or at.startswith(new + "/"):
                at = old + at[len(new) :]
                break
        place = self._document.place(at)
        return StrategyProblem(at, place.line, place.column, message)


def _refusal(places: "_Places | Document", problems: list[tuple[str, str]]) -> StrategyError:
    if isinstance(places, Document):
        places = _Places(places, {})
    found = [places.problem(at, message) for at, message in problems]
    return StrategyError(sorted(found, key=lambda problem: (problem.line, problem.column)))


def _validate(data: dict[str, Any]) -> tuple[Strategy | None, list[tuple[str, str]]]:
    try:
        return Strategy.model_validate(data), []
    except ValidationError as error:
        return None, validation_problems(error, data, Strategy)


def _complete(strategy: Strategy, text: str, places: _Places) -> Strategy:
    """`strategy` with the defaults that depend on other sections, its text and its warnings."""
    strategy = strategy.with_defaults()
    strategy._text = text
    strategy._warnings = tuple(
        places.problem(at, message)
        for at, message in (
            *unused_warnings(strategy),
            *unanchored_warnings(strategy),
            *coverage_warnings(strategy),
        )
    )
    return strategy
