"""Unpack an uploaded file: plain, gzip, or a zip archive with one data file."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import IO

from workers.market_data.errors import MarketDataError
from workers.strategy.quoting import shorten

MAX_BYTES = 2 * 1024**3
"""Limit of the unpacked content: a file of a few kilobytes can expand to petabytes."""

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
PARQUET = b"PAR1"


def unpack(path: Path) -> bytes:
    """Return the content of the file, decompressed if its first bytes are those of gzip or zip.

    Raises `MarketDataError` for an empty or damaged file, an archive with several data files, or too much content.
    """
    content = path.read_bytes()
    try:
        if content.startswith(_GZIP):
            content = _read_bounded(gzip.GzipFile(fileobj=io.BytesIO(content)))
        elif content.startswith(_ZIP):
            content = _only_member(zipfile.ZipFile(io.BytesIO(content)))
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise MarketDataError(f"the file cannot be unpacked: {shorten(str(error))}") from error
    if not content.strip():
        raise MarketDataError("the file is empty")
    return content


def _read_bounded(stream: IO[bytes] | gzip.GzipFile) -> bytes:
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise MarketDataError(f"the file unpacks to more than {MAX_BYTES:,} bytes")
    return content


def _only_member(archive: zipfile.ZipFile) -> bytes:
    """Read the data file of the archive; histdata.com adds a status report (.txt)."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    data = [member for member in members if not member.filename.lower().endswith(".txt")] or members
    if len(data) != 1:
        raise MarketDataError(f"the archive contains {len(data)} data files; it must contain one")
    with archive.open(data[0]) as stream:
        return _read_bounded(stream)
