"""All trades of a backtest, column by column: from `trades.bin`, or from the `trades.csv` of older results."""

import csv
import io
import math
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from operations import artifacts
from operations.models import Artifact, Operation, StoredFile

CHART, BINARY, TEXT = "chart.bin", "trades.bin", "trades.csv"
MAX_BYTES = 200_000_000
_MAX_TEXT, _MAX_INDEX = 50_000_000, 1_000_000
_LENGTH = struct.Struct("<I")
_FLOAT_BYTES = 8
_TEXT_COLUMNS = ("side", "quantity", "entry_price", "exit_price", "pnl", "return", "fees", "mae", "mfe")
NONE = math.nan

Column = Sequence[float]


class _Index(BaseModel):
    """The index of the file, as far as it is relied on."""

    rows: int = Field(ge=0, le=MAX_BYTES)
    columns: list[str] = Field(max_length=100)
    reasons: list[str] = Field(max_length=100)
    decimals: int = Field(ge=0, le=12)


class TradesUnavailableError(Exception):
    """The trades are missing or unreadable. The message is shown to users."""


@dataclass(slots=True)
class StoredTrades:
    """Columns are read when they are first asked for; NaN where there is no value."""

    rows: int
    names: list[str]
    reasons: list[str]
    decimals: int
    """of the instrument's prices"""
    columns: dict[str, Column]
    path: Path | None = None
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
        if self.path is None or name not in self.names:
            return [NONE] * self.rows
        values = array("d")
        try:
            with self.path.open("rb") as file:
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
        return _from_binary(artifacts.path_of(binary.sha256))
    if (text := files.get(TEXT)) is not None and text.size <= _MAX_TEXT:
        return _from_text(artifacts.path_of(text.sha256))
    raise TradesUnavailableError("This result has no file of trades, or it is too large to be shown.")


def _from_binary(path: Path) -> StoredTrades:
    try:
        with path.open("rb") as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            index = _Index.model_validate_json(file.read(min(length, _MAX_INDEX)))
    except OSError:
        raise TradesUnavailableError(f"{BINARY} has been deleted.") from None
    except (struct.error, ValidationError):
        raise TradesUnavailableError(f"{BINARY} is not valid.") from None
    return StoredTrades(
        rows=index.rows,
        names=index.columns,
        reasons=index.reasons,
        decimals=index.decimals,
        columns={},
        path=path,
        start=_LENGTH.size + length,
    )


def _from_text(path: Path) -> StoredTrades:
    """Older results have neither stops nor the exact duration of an open trade."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        columns: dict[str, Column] = {
            name: [_number(row.get(name)) for row in rows] for name in _TEXT_COLUMNS
        }
        slippage = [_number(row.get("slippage_cost") or "0") for row in rows]
        entry, end = ([_seconds(row.get(name)) for row in rows] for name in ("entry_time", "exit_time"))
        first, last = ([_number(row.get(name)) for row in rows] for name in ("entry_index", "exit_index"))
        reasons = sorted({str(row.get("exit_reason") or "") for row in rows})
        reason = [float(reasons.index(str(row.get("exit_reason") or ""))) for row in rows]
    except OSError:
        raise TradesUnavailableError(f"{TEXT} has been deleted.") from None
    except (ValueError, csv.Error):
        raise TradesUnavailableError(f"{TEXT} is not valid.") from None
    columns |= {
        "entry_time": entry,
        "exit_time": end,
        "costs": [fee + cost for fee, cost in zip(columns["fees"], slippage, strict=True)],
        "duration": [b - a for a, b in zip(entry, end, strict=True)],
        "bars": [b - a if b >= 0 else NONE for a, b in zip(first, last, strict=True)],
        "reason": reason,
    }
    return StoredTrades(len(rows), list(columns), reasons, _decimals(columns["entry_price"]), columns)


def _number(text: Any) -> float:
    return float(text) if text else NONE


def _seconds(text: Any) -> float:
    return datetime.fromisoformat(text).timestamp() if text else NONE


def _decimals(prices: Column) -> int:
    """Guess the decimals from the magnitude: the fills of older results contain friction."""
    typical = sorted(prices)[len(prices) // 2] if prices else 1.0
    return max(2, min(8, 4 - math.floor(math.log10(typical)))) if typical > 0 else 2
