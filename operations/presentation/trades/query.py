"""Filters and sorts trades: from the query of a URL to row numbers."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from operations.presentation.trades.stored import Column, StoredTrades

SORTS = (
    "number", "side", "entry_time", "exit_time", "duration", "bars", "quantity", "entry_price", "exit_price", "pnl",
    "return", "r", "mae", "mfe", "costs", "reason",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
RESULTS = {"won": "Won", "lost": "Lost", "closed": "Closed", "open": "Open"}
SIDES = {"long": 1.0, "short": -1.0}
PAGE_ROWS = 50
_DAY_S, _HOUR_S = 86_400, 3_600
_THURSDAY = 3
"""Weekday (Monday 0) of 1970-01-01."""


@dataclass(frozen=True, slots=True)
class Query:
    """Unknown values of a parameter are ignored, as if it were absent."""

    sort: str = "number"
    descending: bool = False
    side: str = ""
    reason: str = ""
    result: str = ""
    weekday: str = ""
    hour: str = ""
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Query":
        given = {
            name: str(parameters.get(name, ""))[:40]
            for name in ("side", "reason", "result", "weekday", "hour")
        }
        sort = str(parameters.get("sort", "number"))
        name = sort.removeprefix("-")
        page = str(parameters.get("page", ""))
        return cls(
            sort=name if name in SORTS else "number",
            descending=sort.startswith("-") and name in SORTS,
            page=int(page) if page.isascii() and page.isdigit() and 0 < int(page[:9]) < 10**8 else 1,
            **given,
        )

    @property
    def is_filtered(self) -> bool:
        return any((self.side, self.reason, self.result, self.weekday, self.hour))


def select(trades: StoredTrades, query: Query) -> list[int]:
    """Return the matching rows in the order of the query; rows without a value come last."""
    rows: list[int] = list(range(trades.rows))
    for column, test in _tests(trades, query):
        rows = [row for row in rows if test(column[row])]
    if query.sort == "number":
        return rows[::-1] if query.descending else rows
    values = trades.column(query.sort)
    present = [row for row in rows if not math.isnan(values[row])]
    present.sort(key=values.__getitem__, reverse=query.descending)
    return present + [row for row in rows if math.isnan(values[row])]


def _tests(trades: StoredTrades, query: Query) -> list[tuple[Column, Callable[[float], bool]]]:
    tests: list[tuple[Column, Callable[[float], bool]]] = []
    if query.side in SIDES:
        tests.append((trades.column("side"), SIDES[query.side].__eq__))
    if query.reason in trades.reasons:
        tests.append((trades.column("reason"), float(trades.reasons.index(query.reason)).__eq__))
    match query.result:
        case "won":
            tests.append((trades.column("pnl"), lambda pnl: pnl > 0.0))
        case "lost":
            tests.append((trades.column("pnl"), lambda pnl: pnl <= 0.0))
        case "closed":
            tests.append((trades.column("exit_time"), lambda time: not math.isnan(time)))
        case "open":
            tests.append((trades.column("exit_time"), math.isnan))
    if query.weekday in WEEKDAYS:
        day = WEEKDAYS.index(query.weekday)
        tests.append((trades.column("entry_time"), lambda time: (time // _DAY_S + _THURSDAY) % 7 == day))
    if (hour := hour_of(query.hour)) is not None:
        tests.append((trades.column("entry_time"), lambda time: time % _DAY_S // _HOUR_S == hour))
    return tests


def hour_of(text: str) -> int | None:
    """Return the hour of `14:00` or `14`; None for other text."""
    digits = text.removesuffix(":00")
    return (
        int(digits)
        if digits.isascii() and digits.isdigit() and len(digits) <= 2 and int(digits) < 24
        else None
    )
