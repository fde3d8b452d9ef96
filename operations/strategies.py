"""The parts of a strategy file that the backend uses, and its errors in the form of the API."""

from dataclasses import dataclass
from functools import lru_cache

from access.problems import Invalid, invalid
from workers.strategy.grammar import StrategyError, TrainedStrategy, parse_strategy

MAX_LENGTH = 200_000
MAX_LINES = 10_000
CACHED_STRATEGIES = 32


@dataclass(frozen=True, slots=True)
class Needs:
    name: str
    symbols: tuple[str, ...]
    timeframes: tuple[str, ...]
    used_timeframes: frozenset[str]
    """The timeframes of the inputs, and the base."""
    base: str
    other_symbols: tuple[str, ...]
    """Symbols beside those of the run whose bars its indicators read."""
    inputs: tuple[str, ...]
    warm_up_bars: int
    """The first bars of the base timeframe, which have no decision."""
    allow_short: bool
    is_trained: bool
    """False for a rules strategy, which is backtested without a model."""
    warnings: tuple[str, ...]


@lru_cache(maxsize=CACHED_STRATEGIES)
def read(text: str, at: str) -> Needs:
    """Parse a strategy; a batch repeats a few of them many times. Raises Invalid with pointer, line and column of each error; `at` points to the field with the text."""
    if not text.strip():
        raise invalid(at, "The strategy is empty.")
    if len(text) > MAX_LENGTH:
        raise invalid(at, f"A strategy may have at most {MAX_LENGTH} characters.")
    if (lines := len(text.splitlines())) > MAX_LINES:
        raise invalid(at, f"A strategy may have at most {MAX_LINES} lines, not {lines}.")
    try:
        strategy = parse_strategy(text)
    except StrategyError as error:
        errors = [
            {
                "pointer": f"{at}{problem.pointer}",
                "detail": problem.message,
                "line": problem.line,
                "column": problem.column,
            }
            for problem in error.errors
        ]
        count = f"{error.count} error{'s' if error.count > 1 else ''}"
        listed = f"; the first {len(errors)} are listed" if error.count > len(errors) else ""
        raise Invalid(f"The strategy has {count}{listed}.", errors=errors) from error
    return Needs(
        name=strategy.name,
        symbols=strategy.symbols,
        timeframes=strategy.timeframes,
        used_timeframes=frozenset(feature.timeframe for feature in strategy.features)
        | {strategy.base_timeframe},
        base=strategy.base_timeframe,
        other_symbols=strategy.other_symbols,
        inputs=strategy.input_names,
        warm_up_bars=strategy.warm_up_bars,
        allow_short=strategy.allow_short,
        is_trained=isinstance(strategy, TrainedStrategy),
        warnings=tuple(
            f"line {warning.line}: {warning.message}" if warning.line else warning.message
            for warning in strategy.warnings
        ),
    )


def has_rules(text: str) -> bool:
    """Whether `text` is a valid rules strategy."""
    try:
        return not read(text, "").is_trained
    except Invalid:
        return False
