"""Run a `data_import` operation: check an uploaded bar file and store it as Parquet with a quality report."""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from workers.charts.market import market_chart
from workers.market_data.bars import bars_as_bytes
from workers.market_data.errors import MarketDataError
from workers.market_data.parameters import ImportParameters
from workers.market_data.quality import Findings, examine, missing_between
from workers.market_data.reader.bar_reader import ReadBars, read_file

__all__ = ["ImportParameters", "run_import"]

_MOST_MISSING = 0.05
"""Share of missing bars from which an import has a warning."""


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
    """Import the file and return the result. Raises `MarketDataError`.

    Artifacts: bars.parquet, quality.json, chart.bin.
    """
    if "raw" not in job.inputs:
        raise MarketDataError("the import has no uploaded file")
    read = read_file(job.inputs["raw"], parameters, job.progress)
    bars, calendar = read.bars, read.calendar.calendar
    bars.attrs["calendar"] = calendar
    job.progress(60, step="examining the bars")
    findings = Findings.of(bars, parameters.timeframe, calendar)
    report = quality_report(read, findings)
    job.progress(70, step="storing the bars and drawing their chart")
    with ThreadPoolExecutor(1) as writer:  # Arrow writes without the lock of the interpreter.
        writing = writer.submit(bars_as_bytes, bars)
        chart = market_chart(bars, parameters.timeframe, calendar, findings, report["listed"])
        content = writing.result()
    job.artifact("bars.parquet", content)
    job.artifact("quality.json", json.dumps(report, allow_nan=False).encode())
    job.artifact("chart.bin", chart)
    job.log(_summary(parameters, read, report))
    for note in read.notes:
        job.log(note)
    for warning in report["warnings"]:
        job.log(warning, "warning")
    return {
        "symbol": parameters.symbol,
        "timeframe": parameters.timeframe,
        "rows": len(bars),
        "start": bars.index[0].isoformat(),
        "end": bars.index[-1].isoformat(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "calendar": calendar,
        "reading": read.as_json(),
        "warnings": report["warnings"],
        "quality": {name: value for name, value in report.items() if name != "listed"},
    }


def quality_report(read: ReadBars, findings: Findings) -> dict[str, Any]:
    """Return how the file was read and what is missing or suspicious in its bars, JSON-ready."""
    counts = examine(read.bars, findings)
    return {
        "layout": read.layout,
        "calendar": read.calendar.calendar,
        "timezone": read.timezone.value,
        "stamped": read.stamped.value,
        "adjustment": read.adjustment,
        "ignored_columns": list(read.ignored),
        "notes": read.notes,
        "warnings": [*read.warnings, *_warn_of_missing(read, counts["missing"])],
        **counts,
    }


def warnings_of(read: ReadBars, parameters: ImportParameters) -> list[str]:
    """Return the warnings about the reading, and about missing bars."""
    missing = missing_between(pd.DatetimeIndex(read.bars.index), parameters.timeframe, read.calendar.calendar)
    return [*read.warnings, *_warn_of_missing(read, int(missing.sum()))]


def _warn_of_missing(read: ReadBars, missing: int) -> list[str]:
    share = missing / (missing + len(read.bars))
    if share <= _MOST_MISSING:
        return []
    calendar = read.calendar
    sentence = f"{share:.1%} of the bars that the calendar {calendar.calendar} expects are missing"
    if read.proposal:
        return [f"{sentence}; {read.proposal} explains them"]
    return [f"{sentence}, and no other known calendar or time zone explains them"]


def _summary(parameters: ImportParameters, read: ReadBars, report: dict[str, Any]) -> str:
    index = read.bars.index
    return (
        f"{parameters.symbol} {parameters.timeframe}: {len(index)} bars from {index[0]:%Y-%m-%d} to "
        f"{index[-1]:%Y-%m-%d}, calendar {report['calendar']}, {report['gaps']} gaps "
        f"({report['missing']} bars), {report['spikes']} spikes, {report['suspected_splits']} suspected splits"
    )
