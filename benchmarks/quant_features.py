"""Measure fifteen indicators on 1,000,000 bars beside bare TA-Lib and pandas-ta-classic, and the whole feature function.

All start from the same DataFrame, with the same parameters and all lines of an indicator. TA-Lib, which KTRDR uses too,
runs in the same process, so that both have the same memory, and every value must be equal to the last bit.
pandas-ta-classic runs in the peers' environment, with TA-Lib, its faster mode. CPU seconds of one core, medians of interleaved rounds.
Target: at least as fast as bare TA-Lib.
"""

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import talib

from benchmarks._figures import print_figure
from benchmarks._peers import peer
from benchmarks._race import Run, compare, in_process, of_peer, race
from workers.strategy.features import build_features
from workers.strategy.grammar import parse_strategy
from workers.strategy.indicators import compute
from workers.strategy.indicators.columns import BarColumns, Floats

BARS = 1_000_000
TALIB, PANDAS_TA = "bare TA-Lib", "pandas-ta-classic with TA-Lib"

PROGRAM = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import pandas as pd, pandas_ta_classic, talib  # without talib, its slower mode
bars = pd.read_parquet(sys.argv[1])
ta = bars.ta
calls = {
    "rsi": {"length": 14}, "sma": {"length": 20}, "ema": {"length": 20}, "wma": {"length": 20},
    "macd": {"fast": 12, "slow": 26, "signal": 9}, "bbands": {"length": 20, "std": 2.0}, "atr": {"length": 14},
    "adx": {"length": 14}, "cci": {"length": 20}, "stoch": {"k": 14, "d": 3, "smooth_k": 3}, "willr": {"length": 14},
    "roc": {"length": 10}, "mom": {"length": 10}, "obv": {}, "mfi": {"length": 14},
}
for line in sys.stdin:
    cpu, wall = time.process_time(), time.perf_counter()
    for name, parameters in calls.items():
        getattr(ta, name)(**parameters)
    print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}), flush=True)
"""

BARE: Mapping[str, Callable[[Floats, Floats, Floats, Floats], Floats | tuple[Floats, ...]]] = {
    "rsi": lambda h, lo, c, v: talib.RSI(c, 14),
    "sma": lambda h, lo, c, v: talib.SMA(c, 20),
    "ema": lambda h, lo, c, v: talib.EMA(c, 20),
    "wma": lambda h, lo, c, v: talib.WMA(c, 20),
    "macd": lambda h, lo, c, v: talib.MACD(c, 12, 26, 9),
    "bbands": lambda h, lo, c, v: talib.BBANDS(c, 20, 2.0, 2.0),
    "atr": lambda h, lo, c, v: talib.ATR(h, lo, c, 14),
    "adx": lambda h, lo, c, v: (talib.ADX(h, lo, c, 14), talib.PLUS_DI(h, lo, c, 14), talib.MINUS_DI(h, lo, c, 14)),
    "cci": lambda h, lo, c, v: talib.CCI(h, lo, c, 20),
    "stochastic": lambda h, lo, c, v: talib.STOCH(h, lo, c, 14, 3, 0, 3, 0),
    "williamsr": lambda h, lo, c, v: talib.WILLR(h, lo, c, 14),
    "roc": lambda h, lo, c, v: talib.ROC(c, 10),
    "momentum": lambda h, lo, c, v: talib.MOM(c, 10),
    "obv": lambda h, lo, c, v: talib.OBV(c, v),
    "mfi": lambda h, lo, c, v: talib.MFI(h, lo, c, v, 14),
}  # fmt: skip
"""The same lines by calls of TA-Lib: high, low, close and volume -> one line or several."""
INDICATORS = tuple(BARE)


def minutes(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.0002, n)))
    opens = np.append(100.0, close[:-1])
    high = np.maximum(opens, close) * (1 + rng.uniform(0, 0.0002, n))
    low = np.minimum(opens, close) * (1 - rng.uniform(0, 0.0002, n))
    index = pd.date_range("2020-01-01", periods=n, freq="1min", tz="UTC", name="time")
    volume = rng.integers(1, 100, n).astype(np.float64)
    bars = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": volume}, index)
    bars.attrs["calendar"] = "24/7"
    return bars


def all_indicators(bars: pd.DataFrame) -> Iterator[tuple[Floats, ...]]:
    """Yield the lines of each indicator with its default parameters."""
    columns = BarColumns(bars)
    for name in BARE:
        yield tuple(compute(name, columns).values())


def bare_indicators(bars: pd.DataFrame) -> Iterator[tuple[Floats, ...]]:
    columns = [np.ascontiguousarray(bars[name], np.float64) for name in ("high", "low", "close", "volume")]
    for function in BARE.values():
        lines = function(*columns)
        yield lines if isinstance(lines, tuple) else (lines,)


def consume(lines: Iterable[object]) -> None:
    """Compute one indicator after the other, keeping none, as the feature function does."""
    deque(lines, maxlen=0)


def strategy_text() -> str:
    indicators = "\n".join(f"  {name}_x: {{type: {name}}}" for name in INDICATORS)
    inputs = "\n".join(f"  - {{raw_indicator: {name}_x, normalization: zscore}}" for name in INDICATORS)
    return f"""
name: bench
version: "3.0"
training_data:
  symbols: {{mode: single, symbol: XY}}
  timeframes: {{mode: multi_timeframe, list: [1m, 1h], base_timeframe: 1m}}
indicators:
{indicators}
fuzzy_sets:
  momentum: {{indicator: rsi_x, low: [0, 0, 30, 50], middle: [30, 50, 70], high: [50, 70, 100, 100]}}
nn_inputs:
{inputs}
  - {{fuzzy_set: momentum}}
model: {{type: mlp}}
decisions: {{output_format: classification}}
training: {{labels: {{source: forward_return}}}}
"""


def check_equal(bars: pd.DataFrame) -> None:
    """Raise AssertionError unless all values are those of TA-Lib, to the last bit."""
    for ours, theirs in zip(all_indicators(bars), bare_indicators(bars), strict=True):
        for values, expected in zip(ours, theirs, strict=True):
            known = ~np.isnan(values)
            np.testing.assert_array_equal(values[known], expected[known])


def main() -> None:
    bars = minutes(BARS)
    check_equal(bars.iloc[:100_000])
    runs: dict[str, Run] = {
        "KTRDR": in_process(lambda: consume(all_indicators(bars))),
        TALIB: in_process(lambda: consume(bare_indicators(bars))),
    }
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bars.parquet"
        bars.to_parquet(path)
        with peer(PROGRAM, str(path)) as theirs:
            if theirs is not None:
                runs[PANDAS_TA] = of_peer(theirs, "go")
            compare("15 indicators, 1,000,000 bars", race(runs), {TALIB: 1.0})
    strategy = parse_strategy(strategy_text())
    seconds = race({"KTRDR": in_process(lambda: build_features(strategy, {"1m": bars}))}, rounds=3)
    inputs, rate = len(strategy.input_names), BARS / median(seconds["KTRDR"].cpu)
    print_figure(f"features, {inputs} inputs on 1m and 1h", round(rate), "bars/CPU s")


if __name__ == "__main__":
    main()
