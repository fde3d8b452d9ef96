"""Previews of the files that an operation produced: pictures, tables, HTML and text, of whatever a job wrote.

The content decides whether a file is a picture, its name whether it is a table, HTML or text. HTML is cleaned like a note: it can
neither run a script nor load anything.
"""

import base64
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import imagesize
import structlog

from operations import artifacts
from operations.models import Artifact
from operations.presentation.markdown import clean_html
from worker_agent.visible_text import visible

log = structlog.get_logger(__name__)

MAX_PREVIEWS = 12
MAX_PICTURE_BYTES = 500_000
MAX_PICTURES_BYTES = 2_000_000
"""Of all pictures of a page, which contains them."""
MAX_PIXELS = 16_000_000
"""Of one picture. A few kilobytes can have gigabytes of pixels, which a browser holds in memory."""
MAX_READ = 64 * 1024
"""Bytes of a table, HTML or text that are read."""
MAX_ROWS, MAX_COLUMNS, MAX_CELL = 20, 20, 100
MAX_LINES = 40
PICTURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}
SUFFIXES: dict[str, Literal["table", "html", "text"]] = {
    ".csv": "table", ".tsv": "table", ".html": "html", ".htm": "html", ".txt": "text", ".log": "text",
    ".md": "text", ".json": "text", ".jsonl": "text", ".yaml": "text", ".yml": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FilePreview:
    name: str
    kind: Literal["picture", "table", "html", "text"]
    content: str = ""
    """A data URL, cleaned HTML or text."""
    rows: tuple[tuple[str, ...], ...] = ()
    """Of a table, the names of its columns first."""
    is_cut: bool = False

    @property
    def head(self) -> tuple[str, ...]:
        return self.rows[0] if self.rows else ()

    @property
    def body(self) -> tuple[tuple[str, ...], ...]:
        return self.rows[1:]


def previews(files: Iterable[Artifact]) -> list[FilePreview]:
    """Return the previews of the outputs among the files, the first ones up to the limits of a page."""
    shown: list[FilePreview] = []
    picture_bytes = 0
    for file in files:
        if file.role != Artifact.Role.OUTPUT or len(shown) == MAX_PREVIEWS:
            continue
        preview = _preview(file.name, file.file_id, file.file.size)
        if preview is not None and preview.kind == "picture":
            picture_bytes += file.file.size
            preview = preview if picture_bytes <= MAX_PICTURES_BYTES else None
        if preview is not None:
            shown.append(preview)
    return shown


def _preview(name: str, sha256: str, size: int) -> FilePreview | None:
    kind = SUFFIXES.get(PurePosixPath(name).suffix.lower())
    try:
        with artifacts.open_file(sha256) as file:
            start = file.read(MAX_READ)
            picture = next((kind for magic, kind in PICTURES.items() if start.startswith(magic)), "")
            if picture and size <= MAX_PICTURE_BYTES:
                return _picture(name, picture, start + file.read())
    except FileNotFoundError:
        return None
    if picture or kind is None or b"\0" in start:
        return None
    return _readable(name, kind, start.decode(errors="replace"), is_cut=size > len(start))


def _picture(name: str, kind: str, content: bytes) -> FilePreview | None:
    """Return the picture as a data URL; None if it has too many pixels, or if their number cannot be read."""
    try:
        width, height = imagesize.get(io.BytesIO(content))
    except Exception:  # its authors name no errors, and whatever a job wrote is read here
        log.info("size of a picture cannot be read", name=visible(name))
        return None
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        return None
    return FilePreview(name, "picture", f"data:image/{kind};base64,{base64.b64encode(content).decode()}")


def _readable(name: str, kind: Literal["table", "html", "text"], text: str, *, is_cut: bool) -> FilePreview:
    match kind:
        case "table":
            rows, is_cut = _rows(text, "\t" if name.lower().endswith(".tsv") else ",", is_cut=is_cut)
            return FilePreview(name, kind, rows=rows, is_cut=is_cut)
        case "html":
            return FilePreview(name, kind, clean_html(text), is_cut=is_cut)
    lines = visible(text).splitlines()
    return FilePreview(name, kind, "\n".join(lines[:MAX_LINES]), is_cut=is_cut or len(lines) > MAX_LINES)


def _rows(text: str, delimiter: str, *, is_cut: bool) -> tuple[tuple[tuple[str, ...], ...], bool]:
    """Return rows of equal length, the heading first, and whether rows or columns are missing."""
    lines = text.splitlines()[:-1] if is_cut else text.splitlines()
    try:
        table = [row for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter) if row]
    except csv.Error:
        return (), True
    width = max(map(len, table), default=0)
    is_cut = is_cut or len(table) > MAX_ROWS + 1 or width > MAX_COLUMNS
    columns = min(width, MAX_COLUMNS)
    padded = ([*row, *[""] * width][:columns] for row in table[: MAX_ROWS + 1])
    return tuple(tuple(visible(cell)[:MAX_CELL] for cell in row) for row in padded), is_cut
