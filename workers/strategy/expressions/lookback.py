"""Count the earlier bars that an expression needs."""

from collections.abc import Callable

from workers.strategy.expressions.functions import FUNCTIONS
from workers.strategy.expressions.tree import Call, Column, Node, children


def lookback(node: Node, of_column: Callable[[str], int] = lambda name: 0) -> int:
    """Return how many bars before its own one bar's value of a resolved tree needs, in bars of its timeframe.

    `of_column` adds the bars that the value of a column needs itself.
    """
    below = max((lookback(child, of_column) for child in children(node)), default=0)
    match node:
        case Column(name=name):
            return of_column(name)
        case Call(function=name, window=window):
            function = FUNCTIONS[name]
            in_window = 0 if window is None else window if name == "shift" else window - 1
            return below + in_window + function.adds_lookback
    return below
