"""Measure the import of 1,000,000 one-minute bars (CSV, 60 MB) beside `pyarrow.csv.read_csv` and writing Parquet.

Each round runs in a process of its own: the whole import from the file to the stored bars, with zone, calendar and
quality, then the peer. Wanted: at most three times as long as the peer (a ratio of 0.33), and less than 600 MB.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.csv
import pyarrow.parquet

from benchmarks._figures import print_figure
from workers.market_data.importing import run_import
from workers.market_data.parameters import ImportParameters
from workers.market_data.warm import warm_up_readings

BARS = 1_000_000
ROUNDS = 3


class Job:
    """Counts the reports of progress."""

    def __init__(self, raw: Path) -> None:
        self.inputs = {"raw": raw}
        self.reports = 0

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None:
        self.reports += 1

    def log(self, line: str, level: str = "info") -> None: ...
    def artifact(self, name: str, content: bytes) -> None: ...


def write_minutes(path: Path) -> None:
    """Write minutes of currencies with a spread of five decimals, without weekends."""
    times = pd.date_range("2021-01-03 17:00", periods=2 * BARS, freq="1min", tz="America/New_York")
    hour = times.dayofweek * 24 + times.hour
    times = times[(hour < 4 * 24 + 17) | (hour >= 6 * 24 + 17)][:BARS].tz_convert("UTC")
    rng = np.random.default_rng(0)
    close = np.round(1.1 * np.exp(np.cumsum(rng.normal(0, 2e-5, BARS))), 5)
    first = np.concatenate(([1.1], close[:-1]))
    high, low = np.maximum(first, close) + 1e-4, np.minimum(first, close) - 1e-4
    volume = rng.integers(1, 9999, BARS)
    texts = times.strftime("%Y-%m-%d %H:%M:%S+00:00")
    with path.open("w") as file:
        file.write("time,open,high,low,close,volume\n")
        file.writelines(
            f"{time},{o:.5f},{h:.5f},{low_:.5f},{c:.5f},{v}\n"
            for time, o, h, low_, c, v in zip(texts, first, high, low, close, volume, strict=True)
        )


def measure(path: Path) -> None:
    """Print the seconds of the import and of the peer, and the peak memory of the import in MB."""
    warm_up_readings()  # As an agent's fork server does before the first job.
    started = time.perf_counter()
    job = Job(path)
    result = run_import(ImportParameters(symbol="EURUSD", timeframe="1m"), job)
    seconds = time.perf_counter() - started
    assert result["rows"] == BARS
    assert result["calendar"] == "fx"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peers = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        table = pyarrow.csv.read_csv(path)
        pyarrow.parquet.write_table(table, path.with_suffix(".parquet"))
        peers.append(time.perf_counter() - started)
    print(json.dumps([seconds, min(peers), memory, job.reports]))


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "minutes.csv"
        write_minutes(path)
        rounds = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.quant_import", str(path)],
                    capture_output=True,
                    check=True,
                    text=True,
                ).stdout
            )
            for _ in range(ROUNDS)
        ]
    ours, theirs = min(row[0] for row in rounds), min(row[1] for row in rounds)
    compared = {"peer": f"pyarrow {theirs:.3f} s", "ratio": round(theirs / ours, 2)}
    print_figure("import of 1,000,000 minutes", ours, "s", **compared)
    print_figure("memory of that import", round(max(row[2] for row in rounds)), "MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        main()
