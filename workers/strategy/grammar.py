"""Parse strategy files strictly (KTRDR grammar, version 3).

`parse_strategy` rejects every unknown key, wrong type and dangling reference with its position and the nearest
valid name. The strategy that it returns is frozen and complete (defaults are filled in); training and backtesting
use it unchanged. This module and everything that it imports need only pydantic and PyYAML.
"""

import json
from typing import Any

from pydantic import ValidationError

from workers.strategy.cross_checks import (
    find_contradictions,
    unanchored_warnings,
    unscaled_warnings,
    unused_warnings,
)
from workers.strategy.definition import Feature, Strategy
from workers.strategy.document import Document, read_document
from workers.strategy.errors import StrategyError, StrategyProblem, UnplacedProblem
from workers.strategy.fuzzy_coverage import coverage_warnings
from workers.strategy.indicator_reading import read_indicators
from workers.strategy.legacy import modernise
from workers.strategy.validation import validation_problems

__all__ = [
    "Feature",
    "Strategy",
    "StrategyError",
    "StrategyProblem",
    "parse_strategy",
    "parse_strategy_values",
]


def parse_strategy(text: str) -> Strategy:
    """Parse the text of a strategy file.

    Raises `StrategyError`; its `errors` list every problem with pointer, line, column and message.
    """
    return _parse(read_document(text), text)


def parse_strategy_values(values: dict[str, Any]) -> Strategy:
    """Parse a strategy from the values of its file, in which sequences are tuples; its `text` is their JSON.

    Raises `StrategyError`; the position of every error is line 1, column 1.
    """
    return _parse(Document(values, {}), json.dumps(values, ensure_ascii=False))


def _parse(document: Document, text: str) -> Strategy:
    if not isinstance(document.data, dict):
        raise _strategy_error(
            document, [("", "a strategy file must consist of sections such as name:, indicators: and model:")]
        )
    data, moved, problems = modernise(document.data)
    places = _Places(document, moved)
    if problems:
        raise _strategy_error(places, problems)
    data, problems = read_indicators(data)
    strategy, further = _validate(data)
    if problems:
        # The section lacks the indicators that were rejected above, so other errors about it would mislead.
        further = [problem for problem in further if problem[0] != "/indicators"]
    if strategy is None or problems or further:
        raise _strategy_error(places, problems + further)
    if contradictions := find_contradictions(strategy):
        raise _strategy_error(places, contradictions)
    return _complete(strategy, text, places)


class _Places:
    """Maps pointers into the modernised file to positions in the text."""

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


def _strategy_error(places: "_Places | Document", problems: list[UnplacedProblem]) -> StrategyError:
    if isinstance(places, Document):
        places = _Places(places, {})
    placed = [places.problem(at, message) for at, message in problems]
    return StrategyError(sorted(placed, key=lambda problem: (problem.line, problem.column)))


def _validate(data: dict[str, Any]) -> tuple[Strategy | None, list[UnplacedProblem]]:
    try:
        return Strategy.model_validate(data), []
    except ValidationError as error:
        return None, validation_problems(error, data, Strategy)


def _complete(strategy: Strategy, text: str, places: _Places) -> Strategy:
    """Add the defaults that depend on other sections, the text and the warnings."""
    strategy = strategy.with_defaults()
    strategy._text = text
    strategy._warnings = tuple(
        places.problem(at, message)
        for at, message in (
            *unused_warnings(strategy),
            *unanchored_warnings(strategy),
            *unscaled_warnings(strategy),
            *coverage_warnings(strategy),
        )
    )
    return strategy
