"""Reads chart files as the script of a page does."""

import gzip
import json
import struct
from typing import Any

import numpy as np
import pandas as pd

MISSING = -(2**31)


def read_index(content: bytes) -> tuple[dict[str, Any], int]:
    """Return the index and the position of the first tile."""
    (length,) = struct.unpack("<I", content[:4])
    return json.loads(gzip.decompress(content[4 : 4 + length])), 4 + length


def read_levels(content: bytes) -> dict[str, pd.DataFrame]:
    """Return the bars of each level, by timeframe, with the seconds of their times as index."""
    index, at = read_index(content)
    levels = {}
    for level in index["levels"]:
        tiles = []
        for size, start in zip(level["sizes"], level["starts"], strict=True):
            tiles.append(_tile(content[at : at + size], index["columns"], start))
            at += size
        levels[level["timeframe"]] = pd.concat(tiles)
        assert len(levels[level["timeframe"]]) == level["rows"]
    assert at == len(content)
    return levels


def _tile(content: bytes, columns: list[dict[str, Any]], start: int) -> pd.DataFrame:
    words = np.frombuffer(gzip.decompress(content), "<i4").reshape(len(columns) + 1, -1)
    sums = np.cumsum(words.astype(np.int64), axis=1)
    wrapped = ((sums + 2**31) % 2**32) - 2**31
    values = np.where(wrapped == MISSING, np.nan, wrapped.astype(float))
    data = {column["name"]: values[number] / column["scale"] for number, column in enumerate(columns, 1)}
    return pd.DataFrame(data, index=start + sums[0] % 2**32)
