"""Five US stocks, daily, 2000 to 2013, from the installed package `bokeh_sampledata` (public-domain values)."""

import csv
import gzip
import importlib.util
from pathlib import Path

PACKAGE = "bokeh_sampledata"
YAHOO_COLUMNS = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]


class NoSampleDataError(Exception):
    """The package with the sample data is not installed."""


def write_sample_files(directory: Path) -> dict[str, Path]:
    """Write one CSV in Yahoo's layout per symbol, like a user's download. Raises NoSampleDataError."""
    rows: dict[str, list[dict[str, str]]] = {}
    with gzip.open(_source(), "rt", newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["Ticker"], []).append(row)
    return {symbol: _write(directory / f"{symbol}.csv", rows[symbol]) for symbol in sorted(rows)}


def _source() -> Path:
    # Located, not imported: importing the package loads pandas.
    spec = importlib.util.find_spec(PACKAGE)
    folders = (spec.submodule_search_locations if spec else None) or []
    for folder in folders:
        path = Path(folder) / "_data" / "stocks.csv.gz"
        if path.is_file():
            return path
    raise NoSampleDataError(
        f"the sample data is missing: `make setup` installs it (the package {PACKAGE}), images and deployments do not contain it. "
        "Without it start `manage.py up --no-demo`, and import your own files"
    )


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, YAHOO_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path
