"""The sessions of every supported exchange, in one table that loads in milliseconds.

`exchange_calendars` computes holidays from rules: 0.2 to 5 s per exchange, a minute for all. Recognising the calendar
of a file compares it with all of them, so their sessions are stored in `exchange_sessions.parquet`. Write that file
again after an upgrade of `exchange_calendars`: `python -m workers.market_data.exchanges`; a test compares the two.
"""

import json
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

UnixNanoseconds = npt.NDArray[np.int64]

NANOSECONDS_A_DAY = 86_400_000_000_000
TABLE = Path(__file__).with_name("exchange_sessions.parquet")
NOT_EXCHANGES = ("24/5", "24/7")
MAJOR = ("XNYS", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "XTSE", "XASX", "XSHG", "XBOM")
"""Preferred in this order where several exchanges fit equally."""

_FIRST, _LAST = pd.Timestamp("1960-01-01"), pd.Timestamp("2027-12-31")
_MINUTE = 60_000_000_000
_MOST_HOLIDAYS = 5
_BATCH_ROWS = 16_384
_TIMES = ("open", "close", "break_start", "break_end")
_METADATA = b"ktrdr.exchanges"


@dataclass(frozen=True, slots=True, eq=False)
class ExchangeSessions:
    """Sessions of an exchange in order, as int64[k] nanoseconds; a session without a break has an empty one."""

    days: UnixNanoseconds
    opens: UnixNanoseconds
    closes: UnixNanoseconds
    break_starts: UnixNanoseconds
    break_ends: UnixNanoseconds


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """A column whose values change rarely: int16[k] values, and the row int32[k] at which each starts."""

    starts: npt.NDArray[np.int32]
    values: npt.NDArray[np.int16]

    @classmethod
    def of(cls, column: npt.NDArray[np.int16]) -> Self:
        starts = np.flatnonzero(np.diff(column, prepend=column[:1] - 1)).astype(np.int32)
        return cls(starts, column[starts])

    def between(self, first: int, end: int) -> npt.NDArray[np.int16]:
        """Return the values of the rows from `first` to before `end`."""
        ends = np.append(self.starts[1:], end)
        return np.repeat(self.values, np.clip(ends, first, end) - np.clip(self.starts, first, end))


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """The stored sessions of an exchange: days since 1970, int16[k], and minutes from midnight UTC of the day."""

    name: str
    timezone: str
    days: npt.NDArray[np.int16]
    minutes: tuple[Runs, ...]

    def covers(self, first: int, last: int) -> bool:
        """Whether the table knows the sessions between two instants. It may start and end with days without a session."""
        return bool(
            self.days[0] - _MOST_HOLIDAYS <= first // NANOSECONDS_A_DAY
            and last // NANOSECONDS_A_DAY <= self.days[-1] + _MOST_HOLIDAYS
        )

    def between(self, first: int, last: int) -> ExchangeSessions:
        """Return the sessions whose days lie between those of two instants, both inclusive."""
        row = int(np.searchsorted(self.days, first // NANOSECONDS_A_DAY))
        end = int(np.searchsorted(self.days, last // NANOSECONDS_A_DAY, side="right"))
        days = self.days[row:end].astype(np.int64) * NANOSECONDS_A_DAY
        return ExchangeSessions(
            days, *(days + column.between(row, end).astype(np.int64) * _MINUTE for column in self.minutes)
        )


def exchange_names() -> tuple[str, ...]:
    """Return the exchanges of the table, the major ones first."""
    names = _table()
    return (*MAJOR, *sorted(set(names) - set(MAJOR)))


def find_exchange(name: str) -> Exchange | None:
    """Return a stored exchange; None for an unknown name."""
    return _table().get(name)


@cache
def _table() -> dict[str, Exchange]:
    # Not pq.read_table, whose import of pyarrow.dataset takes as long as everything else here. From memory, because
    # for files Arrow starts a thread, and job processes are forked after this. In batches, because the whole table
    # would take 115 MB for a moment to become arrays of 11 MB.
    file = pq.ParquetFile(pa.BufferReader(TABLE.read_bytes()))
    timezones: dict[str, str] = json.loads(file.schema_arrow.metadata[_METADATA])["timezones"]
    days = np.empty(file.metadata.num_rows, np.int16)
    columns = tuple(np.empty(file.metadata.num_rows, np.int16) for _ in _TIMES)
    rows_of: Counter[str] = Counter()  # in the order of the table, which is sorted by exchange
    filled = 0
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        rows = slice(filled, filled + batch.num_rows)
        days[rows] = batch["day"].cast(pa.int32()).cast(pa.int16())  # until 2059
        for column, name in zip(columns, _TIMES, strict=True):
            column[rows] = batch[name]
        for found in batch["exchange"].value_counts().to_pylist():
            rows_of[found["values"]] += found["counts"]
        filled += batch.num_rows
    exchanges, first = {}, 0
    for name, count in rows_of.items():
        rows = slice(first, first + count)
        # Not whole columns: kept in the process from which jobs are forked, they would take 9 MB.
        exchanges[name] = Exchange(
            name, timezones[name], days[rows], tuple(Runs.of(column[rows]) for column in columns)
        )
        first += count
    pa.default_memory_pool().release_unused()
    return exchanges


def compute_sessions(exchange: str, first: pd.Timestamp, last: pd.Timestamp) -> tuple[str, pd.DataFrame]:
    """Return the time zone and the sessions from `exchange_calendars`: `day`, and minutes from midnight UTC of that day
    in `open close break_start break_end`, where a session without a break has zeros."""
    import exchange_calendars  # takes 0.3 s, and jobs read the table

    factory = exchange_calendars.calendar_utils._default_calendar_factories[exchange]
    start = max(first, factory.bound_min() or first)
    end = min(last, factory.bound_max() or last)
    # exchange_calendars 4.13 uses Series.values in a way that pandas 3.1 deprecates.
    with warnings.catch_warnings(action="ignore", category=pd.errors.Pandas4Warning):
        calendar = exchange_calendars.get_calendar(exchange, start=start, end=end)
        schedule = calendar.schedule
    days = pd.DatetimeIndex(schedule.index)
    frame = pd.DataFrame({"day": days})
    for name in _TIMES:
        times = pd.DatetimeIndex(schedule[name]).tz_localize(None)
        minutes = (times - days) / pd.Timedelta(minutes=1)
        frame[name] = np.nan_to_num(minutes.to_numpy(np.float64)).astype(np.int16)
    return str(calendar.tz), frame


def write_table(path: Path) -> None:
    """Compute the sessions of all exchanges and store them; takes about a minute."""
    import exchange_calendars

    names = sorted(set(exchange_calendars.get_calendar_names(include_aliases=False)) - set(NOT_EXCHANGES))
    timezones, frames = {}, []
    for name in names:
        timezones[name], frame = compute_sessions(name, _FIRST, _LAST)
        frames.append(frame.assign(exchange=name))
    table = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
    table = table.set_column(
        table.schema.get_field_index("exchange"), "exchange", pc.dictionary_encode(table["exchange"])
    ).set_column(0, "day", table["day"].cast(pa.date32()))
    described = {"exchange_calendars": exchange_calendars.__version__, "timezones": timezones}
    table = table.replace_schema_metadata({_METADATA: json.dumps(described).encode()})
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["exchange", *_TIMES],
        column_encoding={"day": "DELTA_BINARY_PACKED"},
    )


def table_version() -> str:
    """Return the version of `exchange_calendars` that the stored table comes from."""
    metadata = pq.read_schema(TABLE).metadata
    return str(json.loads(metadata[_METADATA])["exchange_calendars"])


if __name__ == "__main__":
    write_table(TABLE)
