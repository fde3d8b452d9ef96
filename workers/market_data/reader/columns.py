"""Choose the columns of a grid that bars are made from."""

from dataclasses import dataclass

import pyarrow as pa

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.grid import Grid, head_texts, is_text
from workers.market_data.reader.time_formats import Kind, kind_of
from workers.market_data.reader.times import join_date_and_clock
from workers.market_data.reader.titles import NEEDED, ROLES_OF_TIME, flatten, rank_of, roles_of
from workers.strategy.quoting import quote, shorten

_SINGLE = ("adjusted", "ticks", "spread", "bid", "ask", "symbol", "period")


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of bars; `by_role` has `open high low close` and those of `volume ticks adjusted spread bid ask symbol
    period` that the file has."""

    time: pa.ChunkedArray
    by_role: dict[str, pa.ChunkedArray]
    ignored: tuple[str, ...]
    title_of_time: str
    is_close_time: bool = False
    """Whether the only time is that of the close of a bar."""


def choose_columns(grid: Grid, titles: tuple[str, ...]) -> Columns:
    """Raises `MarketDataError` if a needed column is missing or there are two for the same purpose."""
    plain = flatten(list(titles))
    used: dict[str, int] = {}
    for role in NEEDED:
        used[role] = _only(grid, plain, role)
    for role in ("volume", *_SINGLE):
        positions = [i for i, title in enumerate(plain) if role in roles_of(title) and i not in used.values()]
        if positions:
            used[role] = min(positions, key=lambda i: (rank_of(role, plain[i]), i))
    time, positions_of_time = _choose_time(grid, plain, set(used.values()))
    taken = {*used.values(), *positions_of_time}
    ignored = tuple(title for i, title in enumerate(plain) if i not in taken and title)
    is_close = all("closed" in roles_of(plain[i]) for i in positions_of_time)
    return Columns(
        time,
        {role: grid.columns[position] for role, position in used.items()},
        ignored,
        " ".join(plain[i] for i in positions_of_time),
        is_close,
    )


def _only(grid: Grid, titles: list[str], role: str) -> int:
    """Return the column of a price: of several titles the most usual one, but not of two that are equally usual."""
    ranks = sorted((rank_of(role, title), i) for i, title in enumerate(titles) if role in roles_of(title))
    if not ranks:
        found = shorten(", ".join(title for title in titles if title))
        raise MarketDataError(
            f"the {'header' if grid.source == 'csv' else 'file'} has no column {role} (found: {found})"
        )
    if len(ranks) > 1 and ranks[0][0] == ranks[1][0]:
        raise MarketDataError(
            f"the header has two columns for {role}; a file must contain the bars of one symbol"
        )
    return ranks[0][1]


def _choose_time(grid: Grid, titles: list[str], used: set[int]) -> tuple[pa.ChunkedArray, list[int]]:
    """Return the times and the positions of their columns: the declared index, an instant, a date with a clock time, or
    a date."""
    if grid.index is not None and _kind(grid.columns[grid.index]) is not None:
        return grid.columns[grid.index], [grid.index]
    candidates = [
        i for i, title in enumerate(titles) if i not in used and set(roles_of(title)) & set(ROLES_OF_TIME)
    ]
    if not candidates and 0 not in used:
        candidates = [0]
    kinds = {i: kind for i in candidates if (kind := _kind(grid.columns[i])) is not None}
    opening = {i: kind for i, kind in kinds.items() if "closed" not in roles_of(titles[i])} or kinds
    for kind in (Kind.EPOCH, Kind.MOMENT, Kind.SERIAL):
        if positions := [i for i, found in opening.items() if found is kind]:
            best = min(positions, key=lambda i: ("opened" not in roles_of(titles[i]), i))
            return grid.columns[best], [best]
    dates = [i for i, found in opening.items() if found is Kind.DATE]
    clocks = [i for i, found in opening.items() if found is Kind.CLOCK]
    if dates and clocks:
        return join_date_and_clock(grid.columns[dates[0]], grid.columns[clocks[0]]), [dates[0], clocks[0]]
    if dates:
        return grid.columns[dates[0]], [dates[0]]
    raise MarketDataError(_no_time(grid, titles, candidates))


def _no_time(grid: Grid, titles: list[str], candidates: list[int]) -> str:
    if not candidates:
        return f"the file has no column with times (found: {shorten(', '.join(filter(None, titles)))})"
    position = candidates[0]
    texts = head_texts(grid.columns[position], 1)
    return f"unreadable time at {grid.lines.name(0)} ({shorten(texts[0]) if texts else ''}, column {quote(titles[position])})"


def _kind(column: pa.ChunkedArray) -> Kind | None:
    """Return what the values of a column are, by its type or by its first values."""
    if pa.types.is_timestamp(column.type):
        return Kind.MOMENT
    if pa.types.is_date(column.type):
        return Kind.DATE
    if pa.types.is_time(column.type):
        return Kind.CLOCK
    if is_text(column) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return kind_of(head_texts(column))
    if pa.types.is_dictionary(column.type):
        return kind_of(head_texts(column))
    return None
