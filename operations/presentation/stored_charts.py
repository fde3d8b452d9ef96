"""Reads the index of chart files (`workers/charts/tiles.py`); the tiles themselves are only sent to browsers."""

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from operations import artifacts

_LENGTH = struct.Struct("<I")
_MAX_PACKED, _MAX_INDEX = 2_000_000, 20_000_000
_FORMAT = 1
_MAX_DECIMALS = 12
_MAX_LATEST = 1000
_KEYS = {"columns", "levels", "decimals", "has_volume", "latest", "statistics"}
_PAGE_ONLY = ("latest", "statistics", "listed")
"""Parts that the page shows as text, so its script does not need them."""


class ChartUnavailableError(Exception):
    """The chart is missing or unreadable. The message is shown to users."""


@dataclass(frozen=True, slots=True)
class StoredChart:
    index: dict[str, Any]
    start: int
    """Position of the first tile in the file."""

    @property
    def for_script(self) -> dict[str, Any]:
        """Return what the script needs to draw the tiles."""
        return {
            **{name: value for name, value in self.index.items() if name not in _PAGE_ONLY},
            "start": self.start,
        }


def read(sha256: str) -> StoredChart:
    """Read the index of a chart. Raises ChartUnavailableError."""
    try:
        with artifacts.open_file(sha256) as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            packed = file.read(min(length, _MAX_PACKED))
    except OSError:
        raise ChartUnavailableError("The file of the chart has been deleted.") from None
    except struct.error:
        raise ChartUnavailableError("The file of the chart is not valid.") from None
    try:
        index = json.loads(_unpack(packed))
    except (OSError, EOFError, zlib.error, ValueError, RecursionError):
        raise ChartUnavailableError("The file of the chart is not valid.") from None
    if not isinstance(index, dict) or index.get("format") != _FORMAT or not index.keys() >= _KEYS:
        raise ChartUnavailableError("The chart has an unknown format; import the bars again.")
    if not _is_plausible(index):
        raise ChartUnavailableError("The file of the chart is not valid.")
    return StoredChart(index, _LENGTH.size + length)


def _is_plausible(index: dict[str, Any]) -> bool:
    """Check what decides how much text a page gets, and what a page computes with."""
    decimals, latest, threshold = index["decimals"], index["latest"], index.get("threshold")
    return (
        isinstance(decimals, int)
        and 0 <= decimals <= _MAX_DECIMALS
        and isinstance(latest, list)
        and len(latest) <= _MAX_LATEST
        and isinstance(threshold, float | int | None)
    )


def _unpack(packed: bytes) -> bytes:
    """Raises ValueError for an index that unpacks to more than any real one has."""
    unpacked = zlib.decompressobj(wbits=31)
    index = unpacked.decompress(packed, _MAX_INDEX)
    if unpacked.unconsumed_tail:
        raise ValueError("the index is too large")
    return index
