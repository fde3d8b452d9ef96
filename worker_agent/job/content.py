"""The bytes of a file that a job produces, from the types that authors of workers have at hand."""

import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from worker_agent.job.repair import text_of


@runtime_checkable
class SavesFigure(Protocol):
    """A figure of matplotlib, which the agent does not import."""

    def savefig(self, *arguments: Any, **options: Any) -> Any: ...


@runtime_checkable
class WritesCsv(Protocol):
    """A DataFrame of pandas, which the agent does not import."""

    index: Any

    def to_csv(self, *arguments: Any, **options: Any) -> Any: ...


Content = bytes | bytearray | memoryview | str | Path
Rows = Iterable[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | WritesCsv


def content_of(name: str, content: Any) -> bytes:
    """Return the bytes to store: text as UTF-8, a path as the file's content, a NumPy array as a .npy file.

    Raises TypeError for any other type.
    """
    match content:
        case bytes():
            return content
        case bytearray() | memoryview():
            return bytes(content)
        case str():
            return text_of(content).encode()
        case Path():
            return content.read_bytes()
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(content, numpy.ndarray):
        buffer = io.BytesIO()
        numpy.save(buffer, content, allow_pickle=False)
        return buffer.getvalue()
    raise TypeError(
        f"The content of the file {text_of(name, 80)} must be bytes, str, a Path or a NumPy array, "
        f"not {type(content).__name__}."
    )


def table_of(name: str, rows: Rows) -> bytes:
    """Return the table as CSV: a DataFrame, a mapping of columns to values, or rows as mappings.

    Columns are in the order in which they first appear. Raises TypeError for any other type, ValueError for columns
    of different lengths.
    """
    if isinstance(rows, WritesCsv):
        # The default index of pandas only numbers the rows; it is not stored as a column.
        is_numbered = type(rows.index).__name__ == "RangeIndex" and rows.index.name is None
        return str(rows.to_csv(None, index=not is_numbered)).encode()
    if isinstance(rows, Mapping):
        columns = {str(column): list(values) for column, values in rows.items()}
        if len({len(values) for values in columns.values()}) > 1:
            lengths = ", ".join(f"{column} {len(values)}" for column, values in columns.items())
            raise ValueError(
                f"The columns of the table {text_of(name, 80)} differ in length: {lengths[:120]}."
            )
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return _csv(list(columns), rows)
    rows = list(rows)
    for row in rows:
        if not isinstance(row, Mapping):
            raise TypeError(
                f"A row of the table {text_of(name, 80)} must be a mapping of columns to values, "
                f"not {type(row).__name__}."
            )
    return _csv(list(dict.fromkeys(str(column) for row in rows for column in row)), rows)


def _csv(columns: list[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({str(column): _cell(value) for column, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return text_of(value) if isinstance(value, str) else value


def figure_of(name: str, figure: SavesFigure | bytes | Path) -> bytes:
    """Return the figure as PNG: one of matplotlib, or a PNG file as bytes or path. Raises TypeError for others."""
    if isinstance(figure, SavesFigure):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()
    if not isinstance(figure, bytes | Path):
        raise TypeError(
            f"The figure {text_of(name, 80)} must be a figure of matplotlib, or a PNG file as bytes or Path, "
            f"not {type(figure).__name__}."
        )
    content = content_of(name, figure)
    if not content.startswith(b"\x89PNG\r\n"):
        raise TypeError(f"The figure {text_of(name, 80)} is not a PNG file.")
    return content


def with_suffix(name: object, suffix: str) -> str:
    text = text_of(name)
    return text if text.lower().endswith(suffix) else text + suffix
