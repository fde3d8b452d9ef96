"""All trades of a backtest, column by column: from `trades.bin`, or from the `trades.csv` of older results."""

import csv
import io
import math
import os
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from operations import artifacts
from operations.models import Artifact, Operation, StoredFile

CHART, BINARY, TEXT = "chart.bin", "trades.bin", "trades.csv"
MAX_BYTES = 200_000_000
_MAX_TEXT, _MAX_INDEX = 50_000_000, 1_000_000
_MAX_TEXT_ROWS, _MAX_REASONS = 1_000_000, 100
_LENGTH = struct.Struct("<I")
_FLOAT_BYTES = 8
_TEXT_COLUMNS = ("side", "quantity", "entry_price", "exit_price", "pnl", "return", "fees", "mae", "mfe")
_COLUMNS = {*_TEXT_COLUMNS, "entry_time", "exit_time", "costs", "duration", "bars", "reason"}
"""Every file has them, so its size limits the rows."""
NONE = math.nan

Column = Sequence[float]


class _Index(BaseModel):
    """The index of the file, as far as it is relied on."""

    rows: int = Field(ge=0, le=MAX_BYTES)
    columns: list[str] = Field(max_length=100)
    reasons: list[str] = Field(max_length=_MAX_REASONS)
    decimals: int = Field(ge=0, le=12)


class TradesUnavailableError(Exception):
    """The trades are missing or unreadable. The message is shown to users."""


@dataclass(slots=True)
class StoredTrades:
    """Columns are read on first use; missing values are NaN."""

    rows: int
    names: list[str]
    reasons: list[str]
    decimals: int
    """of the instrument's prices"""
    columns: dict[str, Column]
    sha256: str = ""
    """Of the file with further columns, if there is one."""
    start: int = 0

    def column(self, name: str) -> Column:
        """Return float64[rows]; all NaN for a column that older results lack. Raises TradesUnavailableError."""
        if name not in self.columns:
            self.columns[name] = self._read(name)
        return self.columns[name]

    def reason(self, row: int) -> str:
        """Return why a trade ended; empty if the file does not contain it."""
        number = self.column("reason")[row]
        return self.reasons[int(number)].replace("_", " ") if 0 <= number < len(self.reasons) else ""

    def _read(self, name: str) -> Column:
        if not self.sha256 or name not in self.names:
            return [NONE] * self.rows
        values = array("d")
        try:
            with artifacts.open_file(self.sha256) as file:
                file.seek(self.start + self.names.index(name) * self.rows * _FLOAT_BYTES)
                values.fromfile(file, self.rows)
        except (OSError, EOFError):
            raise TradesUnavailableError(f"{BINARY} is incomplete.") from None
        if sys.byteorder == "big":
            values.byteswap()
        return values


def files_of(operation: Operation) -> dict[str, StoredFile]:
    """Return the files of bars and trades by name, with one query."""
    outputs = operation.artifacts.filter(role=Artifact.Role.OUTPUT, name__in=(CHART, BINARY, TEXT))
    return {artifact.name: artifact.file for artifact in outputs.select_related("file")}


def read(files: Mapping[str, StoredFile]) -> StoredTrades:
    """Read the trades of a backtest from its files by name. Raises TradesUnavailableError."""
    if (binary := files.get(BINARY)) is not None and binary.size <= MAX_BYTES:
        return _from_binary(binary.sha256)
    if (text := files.get(TEXT)) is not None and text.size <= _MAX_TEXT:
        return _from_text(text.sha256)
    raise TradesUnavailableError("This result has no file of trades, or it is too large to be shown.")


def _from_binary(sha256: str) -> StoredTrades:
    try:
        with artifacts.open_file(sha256) as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            index = _Index.model_validate_json(file.read(min(length, _MAX_INDEX)))
            size = file.seek(0, os.SEEK_END)
    except OSError:
        raise TradesUnavailableError(f"{BINARY} has been deleted.") from None
    except (struct.error, ValidationError):
        raise TradesUnavailableError(f"{BINARY} is not valid.") from None
    start = _LENGTH.size + length
    if not set(index.columns) >= _COLUMNS:
        raise TradesUnavailableError(f"{BINARY} is not valid: it lacks columns.")
    if start + index.rows * len(index.columns) * _FLOAT_BYTES > size:
        raise TradesUnavailableError(f"{BINARY} is incomplete.")
    return StoredTrades(
        rows=index.rows,
        names=index.columns,
        reasons=index.reasons,
        decimals=index.decimals,
        columns={},
        sha256=sha256,
        start=start,
    )


def _from_text(sha256: str) -> StoredTrades:
    """Older results have neither stops nor the exact duration of an open trade."""
    try:
        columns, reasons = _columns_of_text(sha256)
    except OSError:
        raise TradesUnavailableError(f"{TEXT} has been deleted.") from None
    except (ValueError, OverflowError, csv.Error):
        raise TradesUnavailableError(f"{TEXT} is not valid.") from None
    slippage = columns.pop("slippage_cost")
    first, last = columns.pop("entry_index"), columns.pop("exit_index")
    times = zip(columns["entry_time"], columns["exit_time"], strict=True)
    columns |= {
        "costs": [
            fee + (0.0 if math.isnan(cost) else cost)
            for fee, cost in zip(columns["fees"], slippage, strict=True)
        ],
        "duration": [b - a for a, b in times],
        "bars": [b - a if b >= 0 else NONE for a, b in zip(first, last, strict=True)],
    }
    decimals = _decimals(columns["entry_price"])
    return StoredTrades(len(first), list(columns), reasons, decimals, columns)


def _columns_of_text(sha256: str) -> tuple[dict[str, Column], list[str]]:
    """Return float64[rows] columns, and the reasons to which `reason` refers. Raises OSError, ValueError, csv.Error."""
    columns = {name: array("d") for name in (*_PARSERS, "reason")}
    reasons: dict[str, int] = {}
    with io.TextIOWrapper(artifacts.open_file(sha256), encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name, parse in _PARSERS.items():
                columns[name].append(parse(row.get(name)))
            number = reasons.setdefault(str(row.get("exit_reason") or ""), len(reasons))
            columns["reason"].append(number)
            if len(reasons) > _MAX_REASONS or len(columns["reason"]) > _MAX_TEXT_ROWS:
                raise ValueError("too many rows or reasons")
    return {**columns}, list(reasons)


def _number(text: Any) -> float:
    return float(text) if text else NONE


def _seconds(text: Any) -> float:
    return datetime.fromisoformat(text).timestamp() if text else NONE


_PARSERS = {
    **dict.fromkeys((*_TEXT_COLUMNS, "slippage_cost", "entry_index", "exit_index"), _number),
    "entry_time": _seconds,
    "exit_time": _seconds,
}
"""Of the columns of the text."""


def _decimals(prices: Column) -> int:
    """Guess the decimals from the magnitude: the fills of older results contain friction."""
    typical = sorted(prices)[len(prices) // 2] if prices else 1.0
    return max(2, min(8, 4 - math.floor(math.log10(typical)))) if 0 < typical < math.inf else 2
