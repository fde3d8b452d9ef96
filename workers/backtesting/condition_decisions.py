"""Turn the conditions of a rules strategy into the target direction at each bar."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workers.backtesting.decisions import may_short
from workers.strategy.grammar import RulesStrategy
from workers.strategy.indicators.evaluation import Condition, evaluate_condition
from workers.strategy.sections.rules import CONDITIONS

Columns = Mapping[str, NDArray[np.float64]]
"""Values of the bars by name of input; float64[n] each, NaN where one is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """Truth of each condition at each bar; bool[n]. One that the strategy lacks is false."""

    long: NDArray[np.bool_]
    short: NDArray[np.bool_]
    exit_long: NDArray[np.bool_]
    exit_short: NDArray[np.bool_]


def decide(
    strategy: RulesStrategy, columns: Columns, *, start: int = 0, allow_short: bool | None = None
) -> NDArray[np.int8]:
    """Return int8[n] in {-1, 0, 1}: the target direction at the close of each bar, from this and earlier bars only.

    `columns`: those of `strategy.input_names`, from the first bar on. The strategy starts flat at the bar `start`;
    earlier bars serve only `shift` and windows. `allow_short`, if not None, can take away the strategy's own permission, but not
    extend it.
    """
    return follow_conditions(
        strategy, hold_conditions(strategy, columns), start=start, allow_short=allow_short
    )


def hold_conditions(strategy: RulesStrategy, columns: Columns) -> Conditions:
    """Evaluate the conditions of every bar; none holds in the bars of `history_required`."""
    evaluated = evaluate_conditions(strategy, columns)
    n = len(next(iter(columns.values())))
    held = {}
    for name in CONDITIONS:
        held[name] = evaluated[name].holds if name in evaluated else np.zeros(n, np.bool_)
        held[name][: strategy.training_data.history_required] = False
    return Conditions(**held)


def evaluate_conditions(strategy: RulesStrategy, columns: Columns) -> dict[str, Condition]:
    """Return the truth of the conditions that the strategy has, by name."""
    n = len(next(iter(columns.values())))
    return {
        name: evaluate_condition(tree, columns.__getitem__, n) for name, tree in strategy.conditions.items()
    }


def follow_conditions(
    strategy: RulesStrategy, conditions: Conditions, *, start: int = 0, allow_short: bool | None = None
) -> NDArray[np.int8]:
    """Return the target directions of conditions, as `decide` does."""
    separation = strategy.decisions.filters.min_signal_separation
    target: NDArray[np.int8] = _follow(
        conditions.long,
        conditions.short,
        conditions.exit_long,
        conditions.exit_short,
        start,
        separation,
        may_short(strategy.decisions, allow_short),
    )
    return target


@njit(cache=True, nogil=True)
def _follow(
    long: np.ndarray,
    short: np.ndarray,
    exit_long: np.ndarray,
    exit_short: np.ndarray,
    start: int,
    separation: int,
    allow_short: bool,
) -> np.ndarray:
    target = np.zeros(long.size, np.int8)
    direction = 0
    changed_at = start - separation - 1
    for t in range(start, long.size):
        to_long = long[t] and not exit_long[t]
        to_short = short[t] and not exit_short[t]
        wanted = direction
        if to_long and not to_short:
            wanted = 1
        elif to_short and not to_long:
            wanted = -1 if allow_short else 0
        elif (direction > 0 and exit_long[t]) or (direction < 0 and exit_short[t]):
            wanted = 0
        if wanted != direction and t - changed_at > separation:
            direction = wanted
            changed_at = t
        target[t] = direction
    return target
