"""Chart files of sample bars, as the workers write them."""

import csv
import io
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from workers.backtesting.engine_rules import Rules
from workers.backtesting.trade_file import trade_file
from workers.charts.backtest import backtest_chart
from workers.charts.market import market_chart
from workers.charts.strategy_lines import StrategyLine
from workers.market_data.quality import Findings, examine

GAP_AT, SPIKE_AT = 4000, 2500


def sample_bars(count: int, freq: str = "1min", decimals: int = 2, seed: int = 1) -> pd.DataFrame:
    """Return a random walk around the clock; float64[count] columns, prices in whole ticks."""
    noise = np.random.default_rng(seed)
    close = np.round(np.cumsum(noise.normal(0, 0.02, count)) + 300.0, decimals)
    opened = np.concatenate(([300.0], close[:-1]))
    high = np.round(np.maximum(opened, close) + noise.exponential(0.02, count), decimals)
    low = np.round(np.minimum(opened, close) - noise.exponential(0.02, count), decimals)
    volume = noise.integers(0, 900, count).astype(np.float64)
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    times = pd.date_range("2026-01-05", periods=count, freq=freq, tz="UTC", name="time")
    return pd.DataFrame(columns, index=times)


@cache
def market_data_chart(count: int = 6000) -> bytes:
    """Return the chart of bars of a minute with a gap and a spike."""
    bars = sample_bars(count)
    bars.iloc[SPIKE_AT, 1:4] = [400.0, 290.0, 390.0]
    bars = bars.drop(bars.index[GAP_AT : GAP_AT + 30])
    findings = Findings.of(bars, "1m", "24/7")
    return market_chart(bars, "1m", "24/7", findings, examine(bars, findings)["listed"])


def backtest_files(report: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of bars and trades that belong to a report of sample data."""
    series = report["series"]
    close = np.array(series["close"])
    opened = np.concatenate((close[:1], close[:-1]))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close),
        "low": np.minimum(opened, close),
        "close": close,
    }
    bars = pd.DataFrame(columns, index=pd.DatetimeIndex(pd.to_datetime(series["time"]), name="time"))
    bars["volume"] = 1000.0
    n = len(bars)
    chart = backtest_chart(
        bars, "1d", "24/7", equity=np.array(series["equity"]), benchmark=np.array(series["benchmark"]),
        position=np.where(np.arange(n) % 20 < 10, 100.0, 0.0), threshold=0.55,
        lines=[
            StrategyLine("On the price", "sma_20", True, pd.Series(close).rolling(20).mean().to_numpy()),
            StrategyLine("rsi_14", "rsi_14", False, 50 + 40 * np.sin(np.arange(n) / 15)),
            StrategyLine("Fuzzy sets of rsi_14", "rsi_14.low", False, 0.5 + 0.5 * np.cos(np.arange(n) / 15)),
        ],
        predictions=np.stack([np.full(n, 0.1), np.full(n, 0.3), np.linspace(0.4, 0.7, n)], axis=1),
    )  # fmt: skip
    trades = pd.DataFrame(report["trades"])
    for name in ("entry_time", "exit_time"):
        trades[name] = pd.to_datetime(trades[name], utc=True)
    rules = Rules(stop_loss=0.03, take_profit=0.06)
    return {"chart.bin": chart, "trades.bin": trade_file(trades, bars, None, rules, 2)}


def trades_csv(report: dict[str, Any]) -> bytes:
    """Return the trades of a report as the workers write them, text only."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(report["trades"][0]))
    writer.writeheader()
    writer.writerows(report["trades"])
    return text.getvalue().encode()
