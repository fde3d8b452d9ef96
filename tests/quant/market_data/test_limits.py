"""Small files that expand to gigabytes, and damaged files of every format, are refused in one short sentence."""

import gzip
import io
import json
import random
import resource
import zipfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from tests.quant.market_data.conftest import Import
from tests.quant.market_data.series import daily, sessions_of
from workers.market_data.errors import MarketDataError

HEADER = b"Date,Open,High,Low,Close,Volume\n"


def refuse(import_file: Import, content: bytes, filename: str = "x.csv", timeframe: str = "1d") -> str:
    """Return the sentence of the refusal; importing must not take memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MarketDataError) as refusal:
        import_file(content, timeframe, filename=filename)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sentence = str(refusal.value)
    assert used < 400, f"{used:.0f} MB for {sentence}"
    assert len(sentence) < 300
    assert "\n" not in sentence
    return sentence


def zip_file(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("filler", [b"\n", b",", b"0", b"2024-01-02,1,1,1,1,1\n", b" "])
@pytest.mark.parametrize("pack", [gzip.compress, lambda content: zip_file("x.csv", content)])
def test_repeated_bytes_are_refused_while_they_unpack(
    import_file: Import, filler: bytes, pack: Callable[[bytes], bytes]
) -> None:
    content = HEADER + filler * (60_000_000 // len(filler))
    assert "expands" in refuse(import_file, pack(content))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"Date," + b"Open," * 5000 + b"High,Low,Close\n", "columns|bytes"),
        (
            HEADER + b"2024-01-02,1,1,1,1," + b"9" * 200_000 + b"\n",
            "line 2 has more than|cannot be read|not a table",
        ),
        (b"x" * 3_000_000, "line 1 has more than"),
        (HEADER + b"2024-01-02,1,1,1,1,1\n" * 3 + b"," * 100_000 + b"\n", "line 5"),
    ],
)
def test_long_lines_and_many_columns_are_refused(import_file: Import, content: bytes, sentence: str) -> None:
    import re

    assert re.search(sentence, refuse(import_file, content))


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def constant(rows: int) -> pa.Table:
    column = pa.array(np.ones(rows))
    return pa.table(
        {
            "time": pa.array(np.zeros(rows, "int64")),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), column),
        }
    )


def test_a_parquet_file_of_repeated_values_is_refused_by_its_footer(import_file: Import) -> None:
    content = parquet(constant(3_000_000))
    assert len(content) < 200_000
    assert "its values repeat" in refuse(import_file, content)


def test_a_parquet_file_with_one_long_text_is_refused(import_file: Import) -> None:
    rows = 20_000
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, "int32")), pa.array(["9" * 500_000]))
    table = constant(rows).set_column(1, "open", text.cast(pa.string()) if rows < 10 else text)
    assert "characters" in refuse(import_file, parquet(table))


def test_a_feather_file_of_repeated_values_is_refused(import_file: Import) -> None:
    buffer = io.BytesIO()
    feather.write_feather(constant(3_000_000), buffer, compression="zstd")
    assert "its values repeat" in refuse(import_file, buffer.getvalue())


def test_a_workbook_with_a_cell_in_its_last_corner_takes_no_memory(import_file: Import) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Date", "Open", "High", "Low", "Close", "Volume"])
    sheet.append(["2024-01-02", 10, 11, 9, 10, 5])
    sheet.cell(row=200_000, column=16_384, value="x")
    buffer = io.BytesIO()
    book.save(buffer)
    imported = import_file(buffer.getvalue(), filename="x.xlsx")
    assert imported.result["rows"] == 1


def test_a_workbook_of_repeated_bytes_is_refused(import_file: Import) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/workbook.xml", b" " * 80_000_000)
    assert "expands" in refuse(import_file, buffer.getvalue(), "x.xlsx")


def test_an_encrypted_archive_is_named(import_file: Import) -> None:
    content = bytearray(zip_file("x.csv", b"Date,Open,High,Low,Close\n"))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    assert "the archive is encrypted" in refuse(import_file, bytes(content), "x.zip")


@pytest.mark.parametrize("text", ["[" * 2_000_000, "[[" + "1," * 2_000_000 + "1]]", "{" * 100_000])
def test_deep_and_wide_json_is_refused(import_file: Import, text: str) -> None:
    refuse(import_file, text.encode(), "x.json")


@pytest.mark.parametrize(
    ("start", "word"),
    [(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"), (b"BZh9", "bzip2"), (b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"Rar!\x1a", "RAR"),
     (b"%PDF-1.7", "PDF"), (b"\x89HDF\r\n", "HDF5"), (b"SQLite format 3\0", "SQLite"), (b"(\xb5/\xfd", "Zstandard")],
)  # fmt: skip
def test_other_formats_are_named(import_file: Import, start: bytes, word: str) -> None:
    assert word in refuse(import_file, start + b"\0" * 100)


def _contents() -> dict[str, bytes]:
    series = daily("2024-02-26", 60)
    frame = series.frame().rename(columns=str.lower)
    buffers = {name: io.BytesIO() for name in ("parquet", "feather", "xlsx")}
    frame.to_parquet(buffers["parquet"])
    feather.write_feather(frame.reset_index(), buffers["feather"])
    frame.tz_localize(None).reset_index().to_excel(buffers["xlsx"], index=False)
    text = series.plain("%Y-%m-%d")
    rows = [
        [int(t.value // 10**6), *p, 5.0] for t, p in zip(series.opens, series.prices.tolist(), strict=True)
    ]
    return {
        **{name: buffer.getvalue() for name, buffer in buffers.items()},
        "csv": text.encode(), "gz": gzip.compress(text.encode()), "zip": zip_file("x.csv", text.encode()),
        "json": json.dumps(rows).encode(), "utf16": text.encode("utf-16"),
        "hourly": sessions_of("XNYS", "2024-03-04", 20).plain(zone="America/New_York").encode(),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["parquet", "feather", "xlsx", "csv", "gz", "zip", "json", "utf16", "hourly"]
)
def test_damaged_files_are_imported_or_refused_but_never_fail(import_file: Import, name: str) -> None:
    """A bad file is the class `invalid`, in one sentence under 300 characters, whatever bytes are damaged."""
    content = _contents()[name]
    rng = random.Random(7)
    extension = {"gz": "csv.gz", "utf16": "csv", "hourly": "csv"}.get(name, name)
    sentences = []
    for _ in range(60):
        damaged = bytearray(content)
        match rng.randrange(3):
            case 0:
                del damaged[rng.randrange(len(damaged)) :]
            case 1:
                for _ in range(rng.randrange(1, 8)):
                    damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            case 2:
                start = rng.randrange(len(damaged))
                damaged[start:start] = damaged[: rng.randrange(200)]
        try:
            import_file(bytes(damaged), "1h" if name == "hourly" else "1d", filename=f"x.{extension}")
        except MarketDataError as refusal:
            sentences.append(str(refusal))
    assert len(sentences) > 5
    assert [sentence for sentence in sentences if len(sentence) >= 300 or "\n" in sentence] == []
