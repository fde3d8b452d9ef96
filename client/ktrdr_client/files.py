"""Arguments that may be a file or its content."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".yaml", ".yml")


def read_text(source: str | Path) -> str:
    """Return the text of a YAML file, or `source` itself if it is the text. Raises OSError."""
    if isinstance(source, Path) or (source.endswith(SUFFIXES) and "\n" not in source):
        return Path(source).read_text(encoding="utf-8")
    return source


def read_bars(source: "str | Path | pd.DataFrame") -> tuple[str, bytes]:
    """Return the name and the content of a file of bars; a DataFrame with a time index becomes Parquet. Raises OSError."""
    if not isinstance(source, str | Path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        frame = source.rename_axis("time").reset_index()
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), buffer)
        return "bars.parquet", buffer.getvalue()
    path = Path(source)
    return path.name, path.read_bytes()


@contextmanager
def open_file(source: str | Path | bytes, name: str | None) -> Iterator[tuple[str, BinaryIO | bytes]]:
    """Yield a name and a content that is read while it is sent. Raises OSError, and ValueError for bytes without a name."""
    if isinstance(source, bytes):
        if not name:
            raise ValueError("bytes need a name")
        yield name, source
        return
    path = Path(source)
    with path.open("rb") as file:
        yield name or path.name, file
