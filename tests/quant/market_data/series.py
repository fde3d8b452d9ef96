"""Bars of markets, and the files that sources write of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from workers.market_data.sessions import Sessions


@dataclass(frozen=True)
class Series:
    """Bars with their opening times in UTC; `step` is the length of a bar."""

    opens: pd.DatetimeIndex
    prices: np.ndarray
    """float64[n, 4]: open, high, low, close."""
    volume: np.ndarray
    step: pd.Timedelta
    decimals: int

    @property
    def local(self) -> pd.DatetimeIndex:
        return self.opens.tz_localize(None)

    def texts(self, row: int) -> list[str]:
        """Open, high, low, close."""
        return [f"{price:.{self.decimals}f}" for price in self.prices[row]]

    def local_times(self, zone: str = "UTC", at: str = "open") -> pd.DatetimeIndex:
        """Local times of the bars in a zone."""
        times = self.opens if at == "open" else self.opens + self.step
        base, _, hours = zone.partition("+") if zone.startswith("America") else (zone, "", "")
        return times.tz_convert(base).tz_localize(None) + pd.Timedelta(hours=int(hours or 0))

    def csv(
        self,
        header: str,
        row: Callable[[str, list[str], str], str],
        form: str = "%Y-%m-%d %H:%M:%S",
        zone: str = "UTC",
        at: str = "open",
        end: str = "\n",
    ) -> str:
        """`row` makes a line from the time, the prices and the volume."""
        times = self.local_times(zone, at).strftime(form)
        lines = [row(times[i], self.texts(i), str(int(self.volume[i]))) for i in range(len(times))]
        return end.join([*([header] if header else []), *lines]) + end

    def plain(self, form: str = "%Y-%m-%d %H:%M:%S", zone: str = "UTC", at: str = "open") -> str:
        return self.csv(
            "Date,Open,High,Low,Close,Volume", lambda t, p, v: ",".join([t, *p, v]), form, zone, at
        )

    def reverse(self) -> "Series":
        return replace(self, opens=self.opens[::-1], prices=self.prices[::-1], volume=self.volume[::-1])

    def frame(self) -> pd.DataFrame:
        columns = dict(zip(("Open", "High", "Low", "Close"), self.prices.T, strict=True))
        return pd.DataFrame({**columns, "Volume": self.volume}, index=self.opens.rename("Date"))


def walk(opens: pd.DatetimeIndex, step: str, seed: int, start: float, decimals: int) -> Series:
    """A random walk at these times."""
    rng = np.random.default_rng(seed)
    close = start * np.exp(np.cumsum(rng.normal(0, 0.002, len(opens))))
    first = np.concatenate(([start], close[:-1]))
    spread = np.abs(rng.normal(0, 0.001, (2, len(opens))))
    high = np.maximum(first, close) * (1 + spread[0])
    low = np.minimum(first, close) * (1 - spread[1])
    prices = np.round(np.column_stack([first, high, low, close]), decimals)
    prices[:, 1] = prices.max(axis=1)
    prices[:, 2] = prices.min(axis=1)
    # The last decimal is used, as in any file of some length.
    prices[0] = np.round(prices[0] + 10.0**-decimals, decimals)
    return Series(
        opens, prices, rng.integers(500, 3000, len(opens)).astype(float), pd.Timedelta(step), decimals
    )


def daily(start: str, bars: int, seed: int = 0, price: float = 187.3, decimals: int = 2) -> Series:
    days = pd.bdate_range(start, periods=bars, tz="UTC").as_unit("ns")
    return walk(days, "1D", seed, price, decimals)


def sessions_of(
    calendar: str, start: str, days: int, step: str = "1h", seed: int = 0, price: float = 187.3
) -> Series:
    """Bars of every session of an exchange from its open to its close."""
    first = pd.Timestamp(start)
    table = Sessions.covering(calendar, first.value, (first + pd.Timedelta(days=3 * days)).value)
    kept = np.flatnonzero(table.days >= first.value)[:days]
    times = [
        time
        for i in kept
        for time in pd.date_range(pd.Timestamp(table.opens[i]), pd.Timestamp(table.closes[i] - 1), freq=step)
    ]
    return walk(pd.DatetimeIndex(times, tz="UTC").as_unit("ns"), step, seed, price, 2)


def fx(start: str, weeks: int, step: str = "1h", seed: int = 0, price: float = 1.0871) -> Series:
    """Bars of currencies from Sunday 17:00 to Friday 17:00 in New York."""
    times = pd.date_range(
        start, periods=weeks * 7 * 24 * int(pd.Timedelta("1h") / pd.Timedelta(step)), freq=step, tz="UTC"
    )
    local = times.tz_convert("America/New_York")
    hour = local.dayofweek * 24 + local.hour
    return walk(times[(hour < 4 * 24 + 17) | (hour >= 6 * 24 + 17)].as_unit("ns"), step, seed, price, 5)


def crypto(start: str, hours: int, step: str = "1h", seed: int = 0, price: float = 61234.5) -> Series:
    times = pd.date_range(start, periods=hours, freq=step, tz="UTC").as_unit("ns")
    return walk(times, step, seed, price, 2)
