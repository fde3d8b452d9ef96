"""Run a `data_import` operation: check an uploaded bar file and store it as Parquet with a quality report."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from workers.market_data.bars import bars_as_bytes
from workers.market_data.calendars import infer_calendar
from workers.market_data.errors import MarketDataError
from workers.market_data.parameters import ImportParameters
from workers.market_data.quality import examine
from workers.market_data.reading import ImportedBars, read_file

__all__ = ["ImportParameters", "run_import"]


class Job(Protocol):
    """The part of a job that an import uses."""

    @property
    def inputs(self) -> Mapping[str, Path]: ...
    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None: ...
    def log(self, line: str, level: str = "info") -> None: ...
    def artifact(self, name: str, content: bytes) -> None: ...


def run_import(parameters: ImportParameters, job: Job) -> dict[str, Any]:
    """Import the file and return the result; stores `bars.parquet` and `quality.json`. Raises `MarketDataError`."""
    if "raw" not in job.inputs:
        raise MarketDataError("the import has no uploaded file")
    job.progress(5, step="reading the file")
    imported = read_file(job.inputs["raw"], parameters)
    bars = imported.bars
    job.progress(60, step="checking the bars")
    bars.attrs["calendar"] = infer_calendar(pd.DatetimeIndex(bars.index))
    report = _quality_report(imported, parameters)
    content = bars_as_bytes(bars)
    job.progress(90, step="storing the bars")
    job.artifact("bars.parquet", content)
    job.artifact("quality.json", json.dumps(report, allow_nan=False).encode())
    job.log(_summary(parameters, bars, report))
    return {
        "symbol": parameters.symbol,
        "timeframe": parameters.timeframe,
        "rows": len(bars),
        "start": bars.index[0].isoformat(),
        "end": bars.index[-1].isoformat(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "calendar": bars.attrs["calendar"],
        "quality": {name: value for name, value in report.items() if name != "listed"},
    }


def _quality_report(imported: ImportedBars, parameters: ImportParameters) -> dict[str, Any]:
    calendar = imported.bars.attrs["calendar"]
    return {
        "layout": imported.layout,
        "calendar": calendar,
        "timezone": imported.timezone,
        "adjustment": imported.adjustment,
        "ignored_columns": list(imported.ignored),
        **examine(imported.bars, parameters.timeframe, calendar),
    }


def _summary(parameters: ImportParameters, bars: pd.DataFrame, report: dict[str, Any]) -> str:
    return (
        f"{parameters.symbol} {parameters.timeframe}: {len(bars)} bars from {bars.index[0]:%Y-%m-%d} to "
        f"{bars.index[-1]:%Y-%m-%d}, calendar {report['calendar']}, {report['gaps']} gaps "
        f"({report['missing']} bars), {report['spikes']} spikes, {report['suspected_splits']} suspected splits"
    )
