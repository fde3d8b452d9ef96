"""Measure fifteen indicators on 1,000,000 bars, and the whole feature function, in CPU seconds of one core.

The peer is pandas-ta-classic with its defaults (no TA-Lib), interleaved with ours, best of the rounds. It runs in
its own environment, whose interpreter is set by KTRDR_BENCH_PEERS; without it only our results are printed.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from workers.strategy.features import build_features
from workers.strategy.grammar import parse_strategy
from workers.strategy.indicators import compute

BARS = 1_000_000
ROUNDS = 3
INDICATORS = (
    "rsi", "sma", "ema", "wma", "macd", "bbands", "atr", "adx", "cci", "stochastic", "williamsr", "roc",
    "momentum", "obv", "mfi",
)  # fmt: skip
_PEER_NAMES = {"stochastic": "stoch", "williamsr": "willr", "momentum": "mom"}

PEER = """
import json, sys, time
import numpy as np, pandas as pd, pandas_ta_classic
bars = pd.read_parquet(sys.argv[1])
best = float("inf")
for _ in range(2):
    started = time.process_time()
    for name in sys.argv[2].split(","):
        getattr(bars.ta, name)()
    best = min(best, time.process_time() - started)
print(json.dumps(best))
"""


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


def best_cpu_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def all_indicators(bars: pd.DataFrame) -> None:
    for name in INDICATORS:
        compute(name, bars)


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


def peer_seconds(bars: pd.DataFrame) -> float | None:
    python = os.environ.get("KTRDR_BENCH_PEERS")
    if not python:
        print("pandas-ta-classic is not compared: KTRDR_BENCH_PEERS is not set")
        return None
    path = "/tmp/ktrdr-bench-bars.parquet"
    bars.to_parquet(path)
    names = ",".join(_PEER_NAMES.get(name, name) for name in INDICATORS)
    done = subprocess.run(
        [python, "-c", PEER, path, names], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        print(f"pandas-ta-classic could not be measured: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    bars = minutes(BARS)
    all_indicators(bars.iloc[:2000])
    ours = best_cpu_seconds(lambda: all_indicators(bars))
    figure = {"benchmark": "15 indicators, 1,000,000 bars", "value": round(ours, 4), "unit": "CPU s"}
    if (theirs := peer_seconds(bars)) is not None:
        ours = min(ours, best_cpu_seconds(lambda: all_indicators(bars)))
        figure |= {"value": round(ours, 4), "peer": f"pandas-ta-classic {theirs:.3f} s", "ratio": round(theirs / ours, 2)}  # fmt: skip
    print(json.dumps(figure))
    strategy = parse_strategy(strategy_text())
    build_features(strategy, {"1m": bars.iloc[:20_000]})
    seconds = best_cpu_seconds(lambda: build_features(strategy, {"1m": bars}), rounds=2)
    inputs = len(strategy.input_names)
    print(
        json.dumps(
            {"benchmark": f"features, {inputs} inputs on 1m and 1h", "value": round(BARS / seconds), "unit": "bars/CPU s"}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
