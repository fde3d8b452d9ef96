"""Open an uploaded file: unpack gzip and zip, and tell by the first bytes which format the content has."""

import gzip
import mmap
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO

from workers.market_data.errors import MarketDataError
from workers.market_data.reader.limits import MAX_BYTES, check_bytes, check_expansion
from workers.strategy.quoting import shorten

_GZIP, _ZIP, _ZIP_WITHOUT_FILES = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06"
_PARQUET, _ARROW, _FEATHER_1 = b"PAR1", b"ARROW1", b"FEA1"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UNSUPPORTED = {
    _OLD_EXCEL: "an Excel workbook of the old format (.xls); save it as .xlsx or CSV",
    _FEATHER_1: "a Feather file of version 1; write version 2, Parquet or CSV",
    b"BZh": "compressed with bzip2; use gzip or zip",
    b"\xfd7zXZ\x00": "compressed with xz; use gzip or zip",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; use gzip or zip",
    b"Rar!": "a RAR archive; use gzip or zip",
    b"(\xb5/\xfd": "compressed with Zstandard; use gzip or zip",
    b"%PDF": "a PDF document; export CSV",
    b"SQLite format 3": "an SQLite database; export CSV",
    b"\x89HDF": "an HDF5 file; write Parquet or CSV",
}
_WORKBOOK_MEMBERS = ("[Content_Types].xml", "xl/workbook.xml")
_ENCRYPTED = 1
"""The flag of a member of a zip."""
_CHUNK = 1024**2


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    PARQUET = "parquet"
    FEATHER = "feather"
    EXCEL = "excel"


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """The unpacked content, mapped into memory, and the names of what it came from."""

    content: mmap.mmap
    format: Format
    filename: str
    """The member of the archive, or else the uploaded file."""
    notes: tuple[str, ...] = ()


def open_container(path: Path, filename: str) -> Container:
    """Unpack and recognise a file. Raises `MarketDataError` if it is empty, damaged, too large or not supported."""
    with path.open("rb") as file:
        start = file.read(16)
        try:
            if start.startswith(_GZIP):
                file.seek(0)
                return _from_stream(gzip.GzipFile(fileobj=file), filename, path.stat().st_size)
            if start.startswith((_ZIP, _ZIP_WITHOUT_FILES)):
                return _from_zip(path, filename)
        except (
            OSError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
            RuntimeError,
            NotImplementedError,
            ValueError,
        ) as error:
            raise MarketDataError(f"the file cannot be unpacked: {shorten(str(error))}") from error
        return _recognise(_map(file), filename)


def _map(file: IO[bytes]) -> mmap.mmap:
    file.seek(0, 2)
    if file.tell() == 0:
        raise MarketDataError("the file is empty")
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _recognise(content: mmap.mmap, filename: str, notes: tuple[str, ...] = ()) -> Container:
    check_bytes(len(content))
    start = content[:64]
    for magic, description in _UNSUPPORTED.items():
        if start.startswith(magic):
            raise MarketDataError(f"the file is {description}")
    if start.startswith(_PARQUET):
        return Container(content, Format.PARQUET, filename, notes)
    if start.startswith(_ARROW):
        return Container(content, Format.FEATHER, filename, notes)
    text = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text and not content[:].strip(b"\xef\xbb\xbf \t\r\n\0"):
        raise MarketDataError("the file is empty")
    is_json = text.startswith((b"[[", b"[{", b"{")) or text[:1] + text[1:].lstrip()[:1] in (b"[[", b"[{")
    return Container(content, Format.JSON if is_json else Format.TEXT, filename, notes)


def _from_stream(
    stream: IO[bytes] | gzip.GzipFile, filename: str, packed: int, notes: tuple[str, ...] = ()
) -> Container:
    """Unpack into a temporary file, which has no name and disappears with the mapping."""
    with tempfile.TemporaryFile() as file:
        size = 0
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            check_bytes(size)
            check_expansion(packed, size)
            file.write(chunk)
        file.flush()
        return _recognise(_map(file), filename.removesuffix(".gz"), notes)


def _from_zip(path: Path, filename: str) -> Container:
    with zipfile.ZipFile(path) as archive:
        names = {member.filename for member in archive.infolist()}
        if names & set(_WORKBOOK_MEMBERS) or filename.lower().endswith((".xlsx", ".xlsm")):
            with path.open("rb") as file:
                return Container(_map(file), Format.EXCEL, filename)
        member, notes = _data_member(archive)
        with archive.open(member) as stream:
            return _from_stream(stream, PurePosixPath(member.filename).name, member.compress_size, notes)


def _data_member(archive: zipfile.ZipFile) -> tuple[zipfile.ZipInfo, tuple[str, ...]]:
    """Return the data file of the archive: neither metadata of macOS nor the status report of histdata.com (.txt)."""
    files = [member for member in archive.infolist() if not member.is_dir()]
    data = [member for member in files if not _is_metadata(member.filename)]
    plain = [member for member in data if not member.filename.lower().endswith(".txt")] or data
    if len(plain) != 1:
        names = ", ".join(member.filename for member in plain[:3])
        raise MarketDataError(
            f"the archive contains {len(plain)} data files ({shorten(names)}); it must contain one"
            if plain
            else "the archive contains no data file"
        )
    if plain[0].flag_bits & _ENCRYPTED:
        raise MarketDataError("the archive is encrypted; unpack it and import the file in it")
    if plain[0].file_size > MAX_BYTES:
        check_bytes(plain[0].file_size)
    others = len(files) - 1
    notes = (f"{others} other file{'s' if others > 1 else ''} in the archive ignored",) if others else ()
    return plain[0], notes


def _is_metadata(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name.startswith("._") or path.name in (".DS_Store", "Thumbs.db")
