"""Compare the moving-average cross of the examples with backtesting.py's own, and time rules strategies.

Golden check: both engines read the same bars, compute their own averages and crossings, fill at the next open, pay 0.1 %
and put whole units of the equity at risk. Number of trades and final equity must agree. Times are CPU seconds.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._figures import print_figure
from benchmarks._peers import peer
from workers.backtesting.condition_decisions import decide
from workers.backtesting.engine import Rules, simulate
from workers.strategy.features import attach_calendar, input_matrix
from workers.strategy.grammar import RulesStrategy, parse_strategy

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "strategies" / "moving_average_cross.yaml"
BARS = 5_000
ROUNDS = 20
RULES = Rules(
    initial_capital=1_000_000.0,
    commission=0.001,
    slippage=0.0,
    spread=0.0,
    quantity_step=1.0,
    allow_short=False,
)

PROGRAM = """
import json, sys, warnings
import pandas as pd
warnings.simplefilter("ignore")
from backtesting import Backtest, Strategy
from backtesting.lib import crossover
import backtesting as module
module.backtesting._tqdm = lambda seq, **_: seq
bars = pd.read_parquet(sys.argv[1]).rename(columns=str.capitalize).tz_localize(None)

class Cross(Strategy):
    def init(self):
        self.fast = self.I(lambda close: pd.Series(close).rolling(20).mean(), self.data.Close)
        self.slow = self.I(lambda close: pd.Series(close).rolling(100).mean(), self.data.Close)
    def next(self):
        if crossover(self.fast, self.slow) and not self.position:
            self.buy()
        elif crossover(self.slow, self.fast) and self.position:
            self.position.close()

for line in sys.stdin:
    statistics = Backtest(bars, Cross, cash=1_000_000, commission=0.001, finalize_trades=False).run()
    equity = float(statistics["_equity_curve"]["Equity"].iloc[-1])
    print(json.dumps({"trades": int(statistics["# Trades"]), "final": equity}), flush=True)
"""


def daily_bars(n: int) -> pd.DataFrame:
    random = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0002, 0.012, n)))
    opens = np.append(100.0, close[:-1]) * np.exp(random.normal(0, 0.002, n))
    high, low = np.maximum(opens, close) * 1.003, np.minimum(opens, close) * 0.997
    index = pd.bdate_range("2000-01-03", periods=n, tz="UTC", name="time").as_unit("ns")
    bars = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1e5}, index)
    bars.attrs["calendar"] = "weekdays"
    return bars


def best_of_rounds(work: Callable[[], object]) -> float:
    """Return the shortest CPU time of a round in seconds, after one round for the compilers."""
    times = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times[1:])


def main() -> None:
    strategy = parse_strategy(EXAMPLE.read_text())
    assert isinstance(strategy, RulesStrategy)
    bars = daily_bars(BARS)
    frames = attach_calendar(strategy, {"1d": bars})
    columns = dict(zip(strategy.input_names, input_matrix(strategy, frames).T, strict=True))
    print_figure(
        "columns of a cross, 5,000 bars", 1e3 * best_of_rounds(lambda: input_matrix(strategy, frames)), "ms"
    )
    print_figure(
        "decisions of a cross from its columns, 5,000 bars",
        1e3 * best_of_rounds(lambda: decide(strategy, columns)),
        "ms",
    )
    result = simulate(bars, decide(strategy, columns), RULES)
    print(f"moving-average cross: {result.closed} closed trades, final equity {result.final_equity:.6f} here")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bars.parquet"
        bars.to_parquet(path)
        with peer(PROGRAM, str(path)) as theirs:
            if theirs is not None:
                answer = theirs.ask("run")
                print(
                    f"moving-average cross: {answer['trades']} closed trades, final equity {answer['final']:.6f} with backtesting.py"
                )
                print_figure(
                    "final equity against backtesting.py", result.final_equity / answer["final"] - 1.0, ""
                )


if __name__ == "__main__":
    main()
