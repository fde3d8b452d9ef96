"""The chapter about expressions of `docs/strategy-grammar.md`."""

from collections.abc import Iterator

from workers.strategy.expressions.functions import FIELDS, FUNCTIONS, MAX_WINDOW
from workers.strategy.expressions.parser import MAX_DEPTH
from workers.strategy.expressions.tokens import MAX_CHARACTERS

_TEXT = f"""\
## Expressions

The conditions of a rules strategy and indicators of type `expression` are expressions. They are read into a tree and
checked; no text is executed. An expression has at most {MAX_CHARACTERS:,} characters and {MAX_DEPTH} levels, and a function reaches back at
most {MAX_WINDOW:,} bars.

```yaml
decisions:
  long: crosses_above(fast, slow) and close > sma_40@1w
  exit_long: crosses_below(fast, slow) or close < highest(close, 22) - 3 * atr_22
```

Operators, from weak to strong: `or`, `and`, `not`, comparisons (`<` `<=` `>` `>=` `==` `!=`), `+` `-`, `*` `/`, the sign.
`30 < rsi_14 < 70` means `30 < rsi_14 and rsi_14 < 70`. Put an expression in quotes if it contains `: ` or `#`, or a comma
inside `{{ }}`.

A number and a condition are different kinds: `and` joins conditions, `+` adds numbers. A condition of `decisions` is a
condition; an indicator is a number.

### Names

| name | value |
|---|---|
| {", ".join(f"`{name}`" for name in FIELDS)} | of the bar |
| `rsi_14`, `macd_12.signal` | an indicator; without an output its first one |
| `momentum.low` | the degree of a fuzzy set; conditions only |
| `oversold` | a number of `constants`, also as a number of bars; conditions only |
| `close@1w`, `rsi_14@4h`, `momentum.low@1w` | the same on another timeframe of the file, from its newest closed bar; conditions only |

An indicator with `symbol: SPY` is computed from the bars of SPY, and so is every indicator that its formula names. It may be
used like any other one: each bar reads the newest bar of SPY that has closed by then. `ratio: {{type: expression,
expression: "close / market"}}` divides the close by `market: {{type: expression, expression: close, symbol: SPY}}`.

Names must differ: an indicator, a fuzzy set and a constant cannot share a name, and none can be named like a field or a function.

### Functions

| function | value |
|---|---|
"""

_SEMANTICS = """
`shift` and the functions with n count bars of the base timeframe, in an indicator bars of the timeframe that it is computed on.
`shift(close@1w, 1)` is therefore the weekly close as known one base bar ago.

### Missing values

A number is missing in the warm-up of its indicator, before the first bar and after a division by zero. A calculation, a
window or a comparison with a missing number is missing too. A condition with a missing number is unknown, also
inside `not` and `or`, and an unknown condition counts as false: nothing is decided before every value that a condition names
exists. `crosses_above` and `crosses_below` need both bars.

### From conditions to positions

The conditions of a rules strategy are evaluated at the close of every bar; the backtest fills at the next bar by its own
rules. It starts without a position at the first bar of the test period; earlier bars only warm up.

| at the close of a bar | target direction |
|---|---|
| `long` without `exit_long`, and not the next row too | long |
| `short` without `exit_short`, and not the previous row too | short; flat with `allow_short: false` |
| both | as before |
| neither, `exit_long` in a long position or `exit_short` in a short one | flat |
| nothing | as before |

So an opposite signal turns a position round at once, and an exit wins over an entry on the same side. `filters.min_signal_separation`
blocks every change, exits too. The conditions do not know of stops and targets of the backtest: after a stop, the
position is opened again only after the target direction has changed.
"""


def expression_lines() -> Iterator[str]:
    yield _TEXT.rstrip()
    for function in FUNCTIONS.values():
        yield f"| `{function.signature}` | {function.meaning} |"
    yield _SEMANTICS
