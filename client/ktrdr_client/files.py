"""Arguments that may be a file or its content."""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SUFFIXES = (".yaml", ".yml")


def read_text(source: str | Path) -> str:
    """Return the text of a YAML file, or `source` itself if it is the text. Raises OSError."""
    if isinstance(source, Path) or (source.endswith(SUFFIXES) and "\n" not in source):
        return Path(source).read_text(encoding="utf-8")
    return source


def read_bars(source: str | Path | pd.DataFrame) -> tuple[str, bytes]:
    """Return the name and the content of a file of bars; a DataFrame with a time index becomes Parquet. Raises OSError."""
    if isinstance(source, pd.DataFrame):
        frame = source.rename_axis("time").reset_index()
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), buffer)
        return "bars.parquet", buffer.getvalue()
    path = Path(source)
    return path.name, path.read_bytes()
