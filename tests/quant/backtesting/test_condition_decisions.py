"""From conditions to directions: equal to an independent loop, causal, and documented row by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quant.strategy.rules import conditions, rules_with
from workers.backtesting.condition_decisions import decide
from workers.strategy.grammar import RulesStrategy


def strategy_of(*, allow_short: bool = True, separation: int = 0, history: int = 0) -> RulesStrategy:
    """A strategy whose four conditions are the bits of the volume."""

    def change(data: dict) -> None:
        conditions(long="open > 0", short="high > 0", exit_long="low > 0", exit_short="close > 0")(data)
        data["decisions"]["allow_short"] = allow_short
        data["decisions"]["filters"] = {"min_signal_separation": separation}
        data["training_data"]["history_required"] = history
        data["indicators"], data["fuzzy_sets"], data["constants"] = {}, {}, {}

    return rules_with(change)


def columns_of(bits: list[tuple[bool, bool, bool, bool]]) -> dict[str, np.ndarray]:
    table = np.array(bits, dtype=float).reshape(-1, 4)
    return dict(zip(("open", "high", "low", "close"), np.ascontiguousarray(table.T), strict=True))


def literal(
    bits: list[tuple[bool, bool, bool, bool]], start: int, *, allow_short: bool, separation: int
) -> list[int]:
    """The table of the documentation, read bar by bar."""
    target, position, bars_since_change = [0] * len(bits), 0, separation + 1
    for t in range(start, len(bits)):
        long, short, exit_long, exit_short = bits[t]
        wants = {
            side
            for side, entry, leave in ((1, long, exit_long), (-1, short, exit_short))
            if entry and not leave
        }
        if wants == {1}:
            following = 1
        elif wants == {-1}:
            following = -1 if allow_short else 0
        elif not wants and {1: exit_long, -1: exit_short, 0: False}[position]:
            following = 0
        else:
            following = position
        if following != position and bars_since_change > separation:
            position, bars_since_change = following, 0
        bars_since_change += 1
        target[t] = position
    return target


row = st.tuples(*[st.booleans()] * 4)


@settings(max_examples=200, deadline=None)
@given(
    bits=st.lists(row, min_size=1, max_size=30),
    start=st.integers(0, 5),
    allow_short=st.booleans(),
    separation=st.integers(0, 3),
)
def test_the_directions_equal_those_of_an_independent_loop(
    bits: list[tuple[bool, bool, bool, bool]], start: int, allow_short: bool, separation: int
) -> None:
    strategy = strategy_of(allow_short=allow_short, separation=separation)
    target = decide(strategy, columns_of(bits), start=start)
    assert target.dtype == np.int8
    assert target.tolist() == literal(bits, start, allow_short=allow_short, separation=separation)


@settings(max_examples=50, deadline=None)
@given(bits=st.lists(row, min_size=2, max_size=30), later=st.lists(row, min_size=1, max_size=5))
def test_later_bars_never_change_earlier_directions(
    bits: list[tuple[bool, bool, bool, bool]], later: list[tuple[bool, bool, bool, bool]]
) -> None:
    strategy = strategy_of()
    complete = decide(strategy, columns_of(bits + later))
    assert complete[: len(bits)].tolist() == decide(strategy, columns_of(bits)).tolist()


LONG, SHORT, EXIT_LONG, EXIT_SHORT = np.eye(4, dtype=bool).tolist()
NOTHING = [False] * 4


def both(*rows: list[bool]) -> list[bool]:
    return [any(bits) for bits in zip(*rows, strict=True)]


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ([LONG, NOTHING, EXIT_LONG, NOTHING], [1, 1, 0, 0]),
        ([SHORT, NOTHING, EXIT_SHORT], [-1, -1, 0]),
        ([LONG, SHORT, LONG], [1, -1, 1]),
        ([both(LONG, EXIT_LONG), LONG, both(LONG, EXIT_LONG)], [0, 1, 0]),
        ([both(LONG, SHORT), SHORT, both(LONG, SHORT)], [0, -1, -1]),
        ([LONG, both(SHORT, EXIT_LONG)], [1, -1]),
        ([LONG, both(SHORT, EXIT_LONG, EXIT_SHORT)], [1, 0]),
        ([LONG, both(SHORT, EXIT_SHORT)], [1, 1]),
        ([SHORT, EXIT_LONG, EXIT_SHORT], [-1, -1, 0]),
    ],
    ids=[
        "enter and leave", "short side", "turn round", "an exit wins over its entry", "both sides keep", "exit and turn",
        "the exit of the other side forbids the turn", "a forbidden turn keeps", "exits belong to their side",
    ],
)  # fmt: skip
def test_conditions_become_positions(bars: list[list[bool]], expected: list[int]) -> None:
    bits = [tuple(bar) for bar in bars]
    assert decide(strategy_of(), columns_of(bits)).tolist() == expected  # type: ignore[arg-type]


def test_without_permission_a_short_signal_only_closes() -> None:
    bits = [tuple(bar) for bar in (LONG, SHORT, SHORT)]
    assert decide(strategy_of(allow_short=False), columns_of(bits)).tolist() == [1, 0, 0]
    assert decide(strategy_of(), columns_of(bits), allow_short=False).tolist() == [1, 0, 0]
    assert decide(strategy_of(allow_short=False), columns_of(bits), allow_short=True).tolist() == [1, 0, 0]


def test_no_condition_holds_before_the_required_history() -> None:
    bits = [tuple(LONG)] * 5
    assert decide(strategy_of(history=3), columns_of(bits)).tolist() == [0, 0, 0, 1, 1]


def test_a_missing_value_decides_nothing_even_under_not() -> None:
    strategy = rules_with(conditions(long="not close > 5", exit_long="close > 5 or open > 0"))
    columns = {"close": np.array([np.nan, 1.0, np.nan, 9.0]), "open": np.array([1.0, -1.0, 1.0, -1.0])}
    assert decide(strategy, columns).tolist() == [0, 1, 1, 0]
