"""Run a `data_preview` operation: show how an import would read a file, without storing anything.

Of a large file, the first and the last rows are read, each as an import would read them: a preview takes less than a
second whatever the size of the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from workers.market_data.bars import PRICES
from workers.market_data.errors import MarketDataError
from workers.market_data.exchanges import find_exchange
from workers.market_data.importing import warnings_of
from workers.market_data.parameters import ImportParameters
from workers.market_data.reader.bar_reader import ReadBars, read_bars_of
from workers.market_data.reader.container import open_container
from workers.market_data.reader.grid import Grid
from workers.market_data.reader.sampling import sample_grid
from workers.market_data.sessions import FOREX

SHOWN = 5
"""Rows at the start and at the end."""
_OPTIONS = ("layout", "timezone", "stamped", "decimal", "point_size")


class Job(Protocol):
    @property
    def inputs(self) -> Mapping[str, Path]: ...


def run_preview(parameters: ImportParameters, job: Job) -> dict[str, Any]:
    """Return how the file would be read, or the reason and the option for which an import would refuse it."""
    if "raw" not in job.inputs:
        raise MarketDataError("the preview has no uploaded file")
    try:
        return {"valid": True, **preview_file(job.inputs["raw"], parameters)}
    except MarketDataError as error:
        return {"valid": False, "error": str(error), "option": _option_of(str(error))}


def preview_file(path: Path, parameters: ImportParameters) -> dict[str, Any]:
    """Return the first and last bars as understood, and how. Raises `MarketDataError` as an import would."""
    container = open_container(path, parameters.filename)
    sample = sample_grid(container)
    read = read_bars_of(sample.start, parameters, container.filename)
    ends = (
        [read] if sample.end is None else [read, _read_end(read, sample.end, parameters, container.filename)]
    )
    ends.sort(key=lambda part: part.bars.index[0])  # The first rows of a reversed file are the latest.
    zone = _zone_of(read)
    return {
        "symbol": parameters.symbol,
        "timeframe": parameters.timeframe,
        **read.as_json(),
        "notes": [*container.notes, *read.notes],
        "warnings": warnings_of(read, parameters),
        "ignored_columns": list(read.ignored),
        "rows": sample.rows,
        "is_complete": sample.end is None,
        "local_zone": zone,
        "first": _rows(ends[0].bars.head(SHOWN), zone),
        "last": _rows(ends[-1].bars.tail(SHOWN), zone),
    }


def _read_end(read: ReadBars, end: Grid, parameters: ImportParameters, filename: str) -> ReadBars:
    """Read the last rows with the decisions that the first rows led to; they are too few to decide again."""
    decided = {
        "timezone": None if read.timezone.value == "dates" else read.timezone.value,
        "stamped": read.stamped.value,
    }
    update = {**decided, "decimal": read.marks.decimal if read.marks.thousands else parameters.decimal}
    return read_bars_of(end, parameters.model_copy(update=update), filename)


def _zone_of(read: ReadBars) -> str:
    """Return the zone for local times: that of the file, or else that of the calendar."""
    if read.timezone.value not in ("UTC", "dates"):
        return read.timezone.value
    exchange = find_exchange(read.calendar.calendar)
    if exchange is not None:
        return exchange.timezone
    return "America/New_York" if read.calendar.calendar == FOREX else "UTC"


def _rows(bars: pd.DataFrame, zone: str) -> list[dict[str, Any]]:
    return [
        {
            "time": time.isoformat().replace("+00:00", "Z"),
            "local_time": _local(time, zone),
            **{name: float(row[name]) for name in (*PRICES, "volume", "spread") if name in bars},
        }
        for time, row in bars.iterrows()
        if isinstance(time, pd.Timestamp)
    ]


def _local(time: pd.Timestamp, zone: str) -> str:
    base, _, hours = zone.partition("+") if "/" in zone and not zone.startswith("Etc/") else (zone, "", "")
    local = time.tz_convert(base) + pd.Timedelta(hours=int(hours or 0))
    return f"{local:%Y-%m-%d %H:%M}"


def _option_of(sentence: str) -> str | None:
    """Return the option that the sentence asks for."""
    return next((option for option in _OPTIONS if f"set {option}" in sentence), None)
