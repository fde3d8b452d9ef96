"""Compare the engine with both engines of vectorbt and with backtesting.py: a long backtest with all metrics, a search.

CPU seconds of one core, median of interleaved rounds with the lowest and the highest, without compilation. All use the
same prices and the same precomputed crossings of two moving averages; fills at the close of the bar, 0.1 % commission,
all of the equity; the final equity must agree.
Targets: 1,000,000 bars 10 times vectorbt with numba and 7 times with Rust, 40 times backtesting.py; 25,000 backtests a
second of 5,000 bars, in less than 300 MB.
"""

import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import talib
from numpy.typing import NDArray

from benchmarks._peers import Peer, peer
from workers.backtesting.engine import Rules, simulate
from workers.backtesting.metrics import compute
from workers.backtesting.search import search

LONG, MEDIUM, SHORT, PAIRS = 1_000_000, 100_000, 5_000, 1_000
ROUNDS = 5
RULES = Rules(initial_capital=10_000.0, commission=0.001, slippage=0.0, fill="same_close")

PROGRAM = """
import json, os, sys, time, warnings
os.environ["RAYON_NUM_THREADS"] = "1"
import numpy as np, pandas as pd
warnings.simplefilter("ignore")
folder = sys.argv[1]

def vectorbt(name, stats, engine):
    import vectorbt as vbt
    vbt.settings["engine"] = engine
    # Times without a zone, because vectorbt converts zoned times to objects and is then 20 times slower.
    bars = pd.read_parquet(f"{folder}/{name}.parquet").tz_localize(None)
    target = np.load(f"{folder}/{name}.npy").T
    is_long = target == 1
    was_long = np.vstack([np.zeros((1, *is_long.shape[1:]), bool), is_long[:-1]]) if is_long.ndim == 2 else np.append(False, is_long[:-1])
    close = bars["close"]
    entries, exits = is_long & ~was_long, was_long & ~is_long
    if is_long.ndim == 2:
        entries, exits = pd.DataFrame(entries, bars.index), pd.DataFrame(exits, bars.index)
    else:
        entries, exits = pd.Series(entries, bars.index), pd.Series(exits, bars.index)
    freq = bars.index[1] - bars.index[0]
    started = time.process_time()
    portfolio = vbt.Portfolio.from_signals(close, entries, exits, init_cash=10_000.0, fees=0.001, freq=freq)
    if stats:
        portfolio.stats()
    else:
        portfolio.total_return(), portfolio.sharpe_ratio(), portfolio.max_drawdown()
    seconds = time.process_time() - started
    value = portfolio.value()
    return seconds, float(np.atleast_1d(np.asarray(value)[-1])[0])

def backtesting(name):
    from backtesting import Backtest, Strategy
    import backtesting as module
    module.backtesting._tqdm = lambda seq, **_: seq
    bars, target = pd.read_parquet(f"{folder}/{name}.parquet"), np.load(f"{folder}/{name}.npy")
    bars = bars.rename(columns=str.capitalize).tz_localize(None)

    class Follow(Strategy):
        def init(self):
            self.target = self.I(lambda: target.astype(float))
        def next(self):
            if self.target[-1] == 1 and not self.position:
                self.buy()
            elif self.target[-1] != 1 and self.position:
                self.position.close()

    started = time.process_time()
    statistics = Backtest(bars, Follow, cash=1e6, commission=0.001, trade_on_close=True, finalize_trades=True).run()
    return time.process_time() - started, float(statistics["Equity Final [$]"])

for line in sys.stdin:
    task, name, *engine = line.split()
    seconds, final = backtesting(name) if task == "backtesting.py" else vectorbt(name, task == "stats", *engine)
    print(json.dumps({"seconds": seconds, "final": final}), flush=True)
"""


def figure(
    benchmark: str,
    value: float,
    unit: str,
    peer_name: str = "",
    ratio: float | None = None,
    spread: str = "",
) -> None:
    comparison: dict[str, float | str] = {"spread": spread} if spread else {}
    if ratio is not None:
        comparison |= {"peer": peer_name, "ratio": round(ratio, 2)}
    print(
        json.dumps({"benchmark": benchmark, "value": round(value, 5), "unit": unit, **comparison}), flush=True
    )


def minutes(n: int) -> pd.DataFrame:
    random = np.random.default_rng(11)
    close = 100.0 * np.exp(np.cumsum(random.normal(0, 0.0005, n)))
    opens = np.append(100.0, close[:-1])
    spread = random.uniform(0, 0.0004, (2, n))
    high, low = np.maximum(opens, close) * (1 + spread[0]), np.minimum(opens, close) * (1 - spread[1])
    index = pd.date_range("2020-01-01", periods=n, freq="1min", tz="UTC", name="time")
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1.0}, index)


def crossing(close: NDArray[np.float64], fast: int, slow: int) -> NDArray[np.int8]:
    above: NDArray[np.int8] = (talib.SMA(close, fast) > talib.SMA(close, slow)).astype(np.int8)
    return above


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def backtest(bars: pd.DataFrame, target: NDArray[np.int8]) -> float:
    """Simulate and compute every metric; return the final equity."""
    result = simulate(bars, target, RULES)
    compute(
        pd.Series(result.equity, index=result.index),
        result.trades,
        initial_capital=RULES.initial_capital,
        position=result.position,
        fees=result.fees,
        slippage_cost=result.slippage_cost,
        turnover=result.turnover,
    )
    return float(result.final_equity)


def race(ours: Callable[[], object], theirs: Peer | None, *questions: str) -> list[list[float]]:
    """Return the CPU seconds of interleaved rounds, ours first, after one round for the compilers."""
    seconds: list[list[float]] = [[], *([] for _ in questions)]
    for _ in range(ROUNDS + 1):
        seconds[0].append(cpu_seconds(ours))
        for answers, question in zip(seconds[1:], questions, strict=True):
            if theirs is not None:
                answers.append(theirs.ask(question)["seconds"])
    return [values[1:] for values in seconds]


def show(benchmark: str, unit: str, seconds: list[list[float]], peers: Sequence[str], count: int = 0) -> None:
    """Print the median of our seconds, or of `count` runs a second, beside each peer that was measured."""
    mine = median(seconds[0])
    spread = f"{min(seconds[0]) / mine:.2f} to {max(seconds[0]) / mine:.2f}"
    value = count / mine if count else mine
    measured = [(name, median(theirs)) for name, theirs in zip(peers, seconds[1:], strict=True) if theirs]
    for name, theirs in measured or [("", None)]:
        figure(benchmark, value, unit, name, None if theirs is None else theirs / mine, spread)


def check_final(ours: float, theirs: Sequence[float]) -> None:
    """Raise ValueError unless all end with the same equity."""
    if not np.allclose(theirs, ours, rtol=1e-9, atol=0.0):
        raise ValueError(f"the final equity is {ours} here, but {theirs} with the peers")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        bars = minutes(LONG)
        close = bars["close"].to_numpy()
        targets = {"long": crossing(close, 50, 200), "medium": crossing(close[:MEDIUM], 50, 200)}
        grid = [(fast, slow) for fast in range(5, 45) for slow in range(50, 200, 6)][:PAIRS]
        targets["short"] = np.stack([crossing(close[:SHORT], fast, slow) for fast, slow in grid])
        cut = {"long": bars, "medium": bars.iloc[:MEDIUM], "short": bars.iloc[:SHORT]}
        for name, target in targets.items():
            cut[name].to_parquet(folder / f"{name}.parquet")
            np.save(folder / f"{name}.npy", target)
        with peer(PROGRAM, directory) as theirs:
            engines = ("vectorbt, numba", "vectorbt, Rust")
            questions = ("stats long numba", "stats long rust")
            if theirs is not None:
                check_final(
                    backtest(bars, targets["long"]), [theirs.ask(each)["final"] for each in questions]
                )
            seconds = race(lambda: backtest(bars, targets["long"]), theirs, *questions)
            show("backtest of 1,000,000 bars with all metrics", "s", seconds, engines)
            seconds = race(
                lambda: backtest(cut["medium"], targets["medium"]), theirs, "backtesting.py medium"
            )
            show("backtest of 100,000 bars", "s", seconds, ("backtesting.py",))
            memory_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            seconds = race(
                lambda: search(cut["short"], targets["short"], RULES),
                theirs,
                "search short numba",
                "search short rust",
            )
            show("backtests of 5,000 bars, 1,000 pairs", "1/s", seconds, engines, count=PAIRS)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_before) / 1024
            figure("memory added by the search", grown, "MiB")


if __name__ == "__main__":
    main()
