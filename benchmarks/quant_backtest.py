"""Compare the engine with both engines of vectorbt and with backtesting.py: a long backtest with all metrics, a search.

CPU seconds of one core, medians of interleaved rounds with the lowest and the highest, without compilation. All use the
same prices and the same precomputed crossings of two moving averages; fills at the close of the bar, 0.1 % commission,
all of the equity; the final equity must agree.
Targets: 1,000,000 bars 10 times vectorbt with numba and 7 times with Rust, 40 times backtesting.py; 25,000 backtests a
second of 5,000 bars, in less than 300 MB.
"""

import resource
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import talib
from numpy.typing import NDArray

from benchmarks._figures import print_figure
from benchmarks._peers import Peer, peer
from benchmarks._race import Run, compare, in_process, of_peer, race
from workers.backtesting.engine import Rules, simulate
from workers.backtesting.metrics import compute
from workers.backtesting.search import search

LONG, MEDIUM, SHORT, PAIRS = 1_000_000, 100_000, 5_000, 1_000
Floats = NDArray[np.float64]
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
    started = time.process_time(), time.perf_counter()
    portfolio = vbt.Portfolio.from_signals(close, entries, exits, init_cash=10_000.0, fees=0.001, freq=freq)
    if stats:
        portfolio.stats()
    else:
        portfolio.total_return(), portfolio.sharpe_ratio(), portfolio.max_drawdown()
    seconds = time.process_time() - started[0], time.perf_counter() - started[1]
    value = portfolio.value()
    return seconds, np.atleast_1d(np.asarray(value)[-1]).tolist()

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

    started = time.process_time(), time.perf_counter()
    statistics = Backtest(bars, Follow, cash=1e6, commission=0.001, trade_on_close=True, finalize_trades=True).run()
    seconds = time.process_time() - started[0], time.perf_counter() - started[1]
    return seconds, [float(statistics["Equity Final [$]"])]

for line in sys.stdin:
    task, name, *engine = line.split()
    seconds, final = backtesting(name) if task == "backtesting.py" else vectorbt(name, task == "stats", *engine)
    print(json.dumps({"cpu": seconds[0], "wall": seconds[1], "final": final}), flush=True)
"""


def minutes(n: int) -> pd.DataFrame:
    random = np.random.default_rng(11)
    close = 100.0 * np.exp(np.cumsum(random.normal(0, 0.0005, n)))
    opens = np.append(100.0, close[:-1])
    spread = random.uniform(0, 0.0004, (2, n))
    high, low = np.maximum(opens, close) * (1 + spread[0]), np.minimum(opens, close) * (1 - spread[1])
    index = pd.date_range("2020-01-01", periods=n, freq="1min", tz="UTC", name="time")
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1.0}, index)


def crossing(close: NDArray[np.float64], fast: int, slow: int) -> NDArray[np.int8]:
    """Return 1 where the fast average is above the slow one. At the last bar nothing changes: KTRDR opens no position there
    and vectorbt does."""
    above: NDArray[np.int8] = (talib.SMA(close, fast) > talib.SMA(close, slow)).astype(np.int8)
    above[-1] = above[-2]
    return above


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


def check_final(ours: Floats | float, theirs: Peer, *questions: str) -> None:
    """Raise AssertionError unless each run ends with the same equity everywhere."""
    for question in questions:
        np.testing.assert_allclose(theirs.ask(question)["final"], np.atleast_1d(ours), rtol=1e-9)


def runs_of(work: Callable[[], object], theirs: Peer | None, questions: Mapping[str, str]) -> dict[str, Run]:
    runs: dict[str, Run] = {"KTRDR": in_process(work)}
    if theirs is not None:
        runs |= {name: of_peer(theirs, question) for name, question in questions.items()}
    return runs


def questions_of(task: str, name: str) -> dict[str, str]:
    return {"vectorbt, numba": f"{task} {name} numba", "vectorbt, Rust": f"{task} {name} rust"}


def main() -> None:
    bars = minutes(LONG)
    close = bars["close"].to_numpy()
    targets = {"long": crossing(close, 50, 200), "medium": crossing(close[:MEDIUM], 50, 200)}
    grid = [(fast, slow) for fast in range(5, 45) for slow in range(50, 200, 6)][:PAIRS]
    targets["short"] = np.stack([crossing(close[:SHORT], fast, slow) for fast, slow in grid])
    cut = {"long": bars, "medium": bars.iloc[:MEDIUM], "short": bars.iloc[:SHORT]}
    with tempfile.TemporaryDirectory() as directory:
        for name, target in targets.items():
            cut[name].to_parquet(Path(directory) / f"{name}.parquet")
            np.save(Path(directory) / f"{name}.npy", target)
        with peer(PROGRAM, directory) as theirs:
            compare_backtests(cut, targets, theirs)
            compare_searches(cut["short"], targets["short"], theirs)


def compare_backtests(
    bars: Mapping[str, pd.DataFrame], targets: Mapping[str, NDArray[np.int8]], theirs: Peer | None
) -> None:
    long, other = questions_of("stats", "long"), {"backtesting.py": "backtesting.py medium"}
    if theirs is not None:
        check_final(backtest(bars["long"], targets["long"]), theirs, *long.values())
    runs = runs_of(lambda: backtest(bars["long"], targets["long"]), theirs, long)
    goals = {"vectorbt, numba": 10.0, "vectorbt, Rust": 7.0}
    compare("backtest of 1,000,000 bars with all metrics", race(runs), goals)
    runs = runs_of(lambda: backtest(bars["medium"], targets["medium"]), theirs, other)
    compare("backtest of 100,000 bars", race(runs), {"backtesting.py": 40.0})


def compare_searches(bars: pd.DataFrame, targets: NDArray[np.int8], theirs: Peer | None) -> None:
    questions = questions_of("search", "short")
    if theirs is not None:
        check_final(search(bars, targets, RULES).final_equity, theirs, *questions.values())
    memory_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = race(runs_of(lambda: search(bars, targets, RULES), theirs, questions))
    compare("backtests of 5,000 bars, 1,000 pairs", seconds, count=PAIRS)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_before) / 1024
    print_figure("memory added by the search", round(grown, 1), "MiB")


if __name__ == "__main__":
    main()
