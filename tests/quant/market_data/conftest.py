import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workers.market_data.bars import read_bars
from workers.market_data.importing import run_import
from workers.market_data.parameters import ImportParameters


class RecordingJob:
    """Records the output of an import."""

    def __init__(self, raw: Path) -> None:
        self.inputs = {"raw": raw}
        self.files: dict[str, bytes] = {}
        self.lines: list[str] = []

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None:
        assert 0 <= percentage <= 100

    def log(self, line: str, level: str = "info") -> None:
        self.lines.append(line)

    def artifact(self, name: str, content: bytes) -> None:
        self.files[name] = content


class Result:
    def __init__(self, result: dict[str, Any], job: RecordingJob, directory: Path) -> None:
        self.result = result
        self.quality = json.loads(job.files["quality.json"])
        stored = directory / "stored.parquet"
        stored.write_bytes(job.files["bars.parquet"])
        self.content = job.files["bars.parquet"]
        self.bars = read_bars(stored)


Import = Callable[..., Result]


@pytest.fixture
def import_file(tmp_path: Path) -> Import:
    """Imports text or bytes like an uploaded file."""

    def run(
        content: str | bytes, timeframe: str = "1d", filename: str = "file.csv", **parameters: Any
    ) -> Result:
        raw = tmp_path / "raw"
        raw.write_bytes(content.encode() if isinstance(content, str) else content)
        job = RecordingJob(raw)
        request = ImportParameters(symbol="XY", timeframe=timeframe, filename=filename, **parameters)
        return Result(run_import(request, job), job, tmp_path)

    return run


def yahoo(days: pd.DatetimeIndex, close: np.ndarray, adjusted: np.ndarray | None = None) -> str:
    """A CSV in Yahoo's layout whose bars open at their close."""
    adjusted = close if adjusted is None else adjusted
    rows = [
        f"{day:%Y-%m-%d},{c:.4f},{c * 1.01:.4f},{c * 0.99:.4f},{c:.4f},{a:.4f},1000"
        for day, c, a in zip(days, close, adjusted, strict=True)
    ]
    return "\n".join(["Date,Open,High,Low,Close,Adj Close,Volume", *rows])


def gzip_text(text: str) -> bytes:
    return gzip.compress(text.encode())
