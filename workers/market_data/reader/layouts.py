"""Layouts of known sources, and what each of them implies for its times and spreads.

* Yahoo: `Date,Open,High,Low,Close,Adj Close,Volume`, also with the three header lines of newer downloads.
* Stooq: `<TICKER>,<PER>,<DATE>,<TIME>,...,<OPENINT>`, in Warsaw time. Finam: the same without open interest, in Moscow time.
* MetaTrader: `<DATE> <TIME> <OPEN> ... <TICKVOL> <VOL> <SPREAD>` (version 5) or, without a header,
  `2012.02.01,00:00,open,high,low,close,volume` (version 4), stamped at the open in the time of the broker's server; `copy_rates` is
  its Python package.
* histdata.com and NinjaTrader: `20120201 000000;open;high;low;close;volume`, in Eastern Standard Time and stamped at the
  open, or in UTC and stamped at the close. histdata.com also writes MetaTrader files `DAT_MT_*`.
* Binance: twelve columns without a header.
"""

import re
from dataclasses import dataclass
from typing import Literal

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.grid import Grid, head_texts
from workers.market_data.reader.titles import normalise, roles_of

Stamped = Literal["open", "close"]
EASTERN_STANDARD = "Etc/GMT+5"
NEW_YORK_CLOSE = "America/New_York+7"
"""The time of servers whose days end at 17:00 in New York; no IANA zone has it all year."""

_MT4_DATE = re.compile(r"\d{4}\.\d{2}\.\d{2}")
_COMPACT_MOMENT = re.compile(r"\d{8} \d{6}")


@dataclass(frozen=True, slots=True)
class Layout:
    """The conventions that the layout of a file implies."""

    name: str
    timezone: str | None = None
    """Of times without an offset, where the source documents it."""
    usual_zones: tuple[str, ...] = ()
    """Likely zones of a source whose times are not UTC, but that does not name their zone."""
    stamped: Stamped | None = None
    has_points: bool = False
    """Whether the spread is in points, the unit of the last decimal of the prices."""
    has_server_epochs: bool = False
    """Whether Unix times count from 1970 in the time of a server rather than in UTC."""


GENERIC = Layout("csv")
METATRADER = Layout(
    "metatrader", usual_zones=("Europe/Athens", NEW_YORK_CLOSE), stamped="open", has_points=True
)
LAYOUTS = {
    "generic": GENERIC,
    "metatrader": METATRADER,
    "copy_rates": Layout("copy_rates", stamped="open", has_points=True, has_server_epochs=True),
    "histdata": Layout("histdata", timezone=EASTERN_STANDARD, stamped="open"),
    "ninjatrader": Layout("ninjatrader", timezone="UTC", stamped="close"),
    "finam": Layout("finam", timezone="Europe/Moscow"),
    "stooq": Layout("stooq", usual_zones=("Europe/Warsaw",)),
    "yahoo": Layout("yahoo", stamped="open"),
    "binance": Layout("binance", timezone="UTC", stamped="open"),
}
"""The layouts that the option `layout` can name."""

_HEADLESS = ("open", "high", "low", "close", "volume")


def recognise_layout(grid: Grid, filename: str, chosen: str | None) -> Layout:
    """Return the chosen layout or the one that the titles show.

    Raises `MarketDataError` if two sources write this layout with another meaning and none was chosen.
    """
    if chosen is not None:
        return LAYOUTS[chosen]
    if grid.titles is None:
        return _headless_layout(grid, filename)
    titles = [normalise(title) for title in grid.titles]
    roles = {role for title in grid.titles for role in roles_of(title)}
    if {"symbol", "period", "date"} <= roles and grid.titles[0].startswith("<"):
        return LAYOUTS["stooq" if any(title.startswith("openint") for title in titles) else "finam"]
    if "tickvol" in titles or (grid.titles[0].startswith("<") and "symbol" not in roles):
        return METATRADER
    if "tick volume" in titles and "real volume" in titles:
        return LAYOUTS["copy_rates"]
    if "adjusted" in roles:
        return LAYOUTS["yahoo"]
    return GENERIC if grid.source == "csv" else Layout(grid.source)


def _headless_layout(grid: Grid, filename: str) -> Layout:
    first, second = (head_texts(column, 1)[0] for column in grid.columns[:2])
    name = filename.upper()
    if _COMPACT_MOMENT.fullmatch(first):
        if name.startswith("DAT_ASCII"):
            return LAYOUTS["histdata"]
        raise MarketDataError(
            "histdata.com (New York standard time, stamped at the open) and NinjaTrader (UTC, stamped at the close) both "
            "write this layout: set layout=histdata or layout=ninjatrader"
        )
    if _MT4_DATE.fullmatch(first) and ":" in second:
        return LAYOUTS["histdata"] if name.startswith("DAT_MT") else METATRADER
    if len(grid.columns) >= 11 and re.fullmatch(r"\d{13,16}", first):
        return LAYOUTS["binance"]
    return GENERIC if grid.source == "csv" else Layout(grid.source)


def headless_titles(grid: Grid) -> tuple[str, ...]:
    """Return titles for a file without a header: a time, perhaps a clock time, open, high, low, close and volume."""
    second = head_texts(grid.columns[1], 1)[0]
    times = ("date", "time") if ":" in second and "." not in second else ("time",)
    titles = (*times, *_HEADLESS)
    return (*titles[: len(grid.columns)], *[""] * (len(grid.columns) - len(titles)))
