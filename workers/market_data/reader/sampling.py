"""The first and the last rows of a large file, for a preview."""

from dataclasses import dataclass, replace

from workers.market_data.reader.container import Container, Format
from workers.market_data.reader.encoding import Text, to_utf8
from workers.market_data.reader.grid import Grid
from workers.market_data.reader.tables import read_typed_grid
from workers.market_data.reader.text_grid import read_text_grid

_WHOLE_BYTES = 2 * 1024**2
_START_BYTES, _END_BYTES = 1024**2, 64 * 1024
_START_ROWS, _END_ROWS = 20_000, 1000


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The first rows and, of a large file, the last ones; `rows` counts all, None if that would take long."""

    start: Grid
    end: Grid | None
    rows: int | None


def sample_grid(container: Container) -> Sample:
    """Raises `MarketDataError` if the file is not a table."""
    if container.format is Format.TEXT:
        text, encoding = to_utf8(container.content)
        return _sample_text(text, encoding)
    return _sample_rows(read_typed_grid(container))


def _sample_text(text: Text, encoding: str) -> Sample:
    """Read the parts of a large text, each behind the lines of its header."""
    if len(text) <= _WHOLE_BYTES:
        return _sample_rows(replace(read_text_grid(text), encoding=encoding))
    start = bytes(text[: text.rfind(b"\n", 0, _START_BYTES) + 1])
    first = replace(read_text_grid(start), encoding=encoding)
    header = start.split(b"\n", first.lines[0] - 1)[:-1]
    tail = text.find(b"\n", len(text) - _END_BYTES) + 1
    last = read_text_grid(b"\n".join([*header, bytes(text[tail:])]))
    return Sample(first, last, None)


def _sample_rows(grid: Grid) -> Sample:
    if grid.rows <= _START_ROWS + _END_ROWS:
        return Sample(grid, None, grid.rows)
    end = grid.part(grid.rows - _END_ROWS, _END_ROWS)
    return Sample(grid.part(0, _START_ROWS), end, grid.rows)
