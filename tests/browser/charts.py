"""Chart files of sample bars, as the workers write them."""

from functools import cache

import numpy as np
import pandas as pd

from workers.charts.market import market_chart
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
