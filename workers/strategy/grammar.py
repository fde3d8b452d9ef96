"""Parse strategy files strictly (KTRDR grammar, version 3).

`parse_strategy` rejects every unknown key, wrong type and dangling reference with its position and the nearest
valid name. The strategy that it returns is frozen and complete (defaults are filled in); training and backtesting
use it unchanged. This module and everything that it imports need only pydantic and PyYAML.
"""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from workers.strategy.cross_checks import find_contradictions, find_dangling_names
from workers.strategy.definition import Feature, Strategy
from workers.strategy.document import Document, read_document
from workers.strategy.errors import StrategyError, StrategyProblem, UnplacedProblem
from workers.strategy.expression_checks import ExpressionProblem, find_expression_problems
from workers.strategy.indicator_reading import read_indicators
from workers.strategy.legacy import modernise
from workers.strategy.rules_strategy import RulesStrategy
from workers.strategy.strategy_warnings import find_warnings
from workers.strategy.trained_strategy import TrainedStrategy
from workers.strategy.validation import validation_problems

__all__ = [
    "Feature",
    "RulesStrategy",
    "Strategy",
    "StrategyError",
    "StrategyProblem",
    "TrainedStrategy",
    "parse_strategy",
    "parse_strategy_values",
    "parse_trained_strategy",
]


NOT_TRAINED = "a rules strategy is not trained; submit it as a backtest, which needs no model"


def parse_strategy(text: str) -> Strategy:
    """Parse the text of a strategy file: a `RulesStrategy` if its model has the type `rules`, else a `TrainedStrategy`.

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
    if dangling := find_dangling_names(strategy):
        raise _strategy_error(places, dangling)
    if invalid := find_expression_problems(strategy):
        raise StrategyError(_in_order(map(places.problem_inside, invalid)))
    if contradictions := find_contradictions(strategy):
        raise _strategy_error(places, contradictions)
    return _complete(strategy, text, places)


def parse_trained_strategy(text: str) -> TrainedStrategy:
    """Parse a strategy whose model is trained. Raises `StrategyError`, for a rules strategy too."""
    strategy = parse_strategy(text)
    if not isinstance(strategy, TrainedStrategy):
        raise _strategy_error(read_document(text), [("/model/type", NOT_TRAINED)])
    return strategy


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

    def problem_inside(self, problem: ExpressionProblem) -> StrategyProblem:
        place = self._document.place_inside(problem.pointer, problem.expression, problem.offset)
        return StrategyProblem(problem.pointer, place.line, place.column, problem.message)


def _strategy_error(places: "_Places | Document", problems: list[UnplacedProblem]) -> StrategyError:
    if isinstance(places, Document):
        places = _Places(places, {})
    return StrategyError(_in_order(places.problem(at, message) for at, message in problems))


def _in_order(problems: Iterable[StrategyProblem]) -> list[StrategyProblem]:
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def _validate(data: dict[str, Any]) -> tuple[Strategy | None, list[UnplacedProblem]]:
    kind = _kind_of(data)
    try:
        return kind.model_validate(data), []
    except ValidationError as error:
        return None, validation_problems(error, data, kind)


def _kind_of(data: dict[str, Any]) -> type[Strategy]:
    model = data.get("model")
    return RulesStrategy if isinstance(model, dict) and model.get("type") == "rules" else TrainedStrategy


def _complete(strategy: Strategy, text: str, places: _Places) -> Strategy:
    """Add the defaults that depend on other sections, the text and the warnings."""
    if isinstance(strategy, TrainedStrategy):
        strategy = strategy.with_defaults()
    strategy._text = text
    strategy._warnings = tuple(places.problem(at, message) for at, message in find_warnings(strategy))
    return strategy
