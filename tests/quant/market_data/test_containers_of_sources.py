"""Bars in JSON, typed files, workbooks and archives."""

import io
import json
import zipfile
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.quant.market_data.conftest import Import
from tests.quant.market_data.series import crypto, daily, sessions_of
from tests.quant.market_data.sources import SEEDS, assert_bars
from workers.market_data.errors import MarketDataError


@pytest.mark.parametrize("shape", ["rows", "objects", "columns", "wrapped", "texts", "lines"])
@pytest.mark.parametrize("seed", SEEDS)
def test_json_is_read_in_its_usual_shapes(import_file: Import, shape: str, seed: int) -> None:
    series = crypto("2024-12-31 12:00", 48, seed=seed)
    times = [int(t.value // 10**6) for t in series.opens]
    rows = [
        [t, *map(float, p), float(v)] for t, p, v in zip(times, series.prices, series.volume, strict=True)
    ]
    names = ("t", "o", "h", "l", "c", "v")
    document: object = rows
    if shape == "objects":
        document = [dict(zip(names, row, strict=True)) for row in rows]
    elif shape == "columns":
        document = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    elif shape == "wrapped":
        document = {"error": [], "result": {"XBTUSD": rows, "last": 1}}
    elif shape == "texts":
        document = [[row[0], *map(str, row[1:])] for row in rows]
    if shape == "lines":
        text = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)
        assert_bars(import_file(text, "1h", filename="x.jsonl"), series)
        return
    assert_bars(
        import_file(json.dumps(document, indent=1 if seed == 1 else None), "1h", filename="x.json"), series
    )


@pytest.mark.parametrize(
    "text", ["[[1, 2", '{"a": 1}', "[" * 5000, "[[1735646400000, 1, 2, 3, 4, 5], [1, 2]]", "[{}]"]
)
def test_json_without_bars_is_refused_in_a_short_sentence(import_file: Import, text: str) -> None:
    with pytest.raises(MarketDataError, match="JSON") as refusal:
        import_file(text, "1h")
    assert len(str(refusal.value)) < 300


def parquet(frame: pd.DataFrame, **options: object) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, **options)  # type: ignore[call-overload]
    return buffer.getvalue()


@pytest.mark.parametrize("seed", SEEDS)
def test_typed_files_are_read(import_file: Import, seed: int) -> None:
    series = daily("2024-02-26", 25, seed)
    frame = series.frame()
    lower = frame.rename(columns=str.lower)
    multi = frame.copy()
    multi.columns = pd.MultiIndex.from_product([frame.columns, ["XY"]], names=["Price", "Ticker"])
    swapped = frame.copy()
    swapped.columns = pd.MultiIndex.from_product([["XY"], frame.columns])
    decimals = pa.table(
        {"time": pa.array(frame.index), **{name: pa.array([Decimal(f"{x:.2f}") for x in lower[name]]) for name in ("open", "high", "low", "close")},
         "volume": pa.array(series.volume)}
    )  # fmt: skip
    stream = io.BytesIO()
    pq.write_table(decimals, stream)
    arrow = io.BytesIO()
    feather.write_feather(lower.reset_index(), arrow)
    contents = [
        parquet(multi.tz_localize(None)),
        parquet(swapped),
        parquet(lower.rename_axis(None).assign(time=range(25))),
        parquet(lower.reset_index(names="ts_event")),
        parquet(lower.reset_index(names="Date").assign(Date=lambda f: f["Date"].dt.strftime("%Y-%m-%d"))),
        parquet(lower.reset_index(names="date").assign(date=lambda f: f["date"].dt.date)),
        parquet(lower.reset_index(names="time").assign(time=lambda f: f["time"].astype("int64") // 10**6)),
        stream.getvalue(),
        arrow.getvalue(),
    ]
    for content in contents:
        assert_bars(import_file(content), series)


@pytest.mark.parametrize("title", ["Prices", None])
def test_a_workbook_is_read(import_file: Import, title: str | None) -> None:
    series = sessions_of("XNYS", "2024-03-04", 10)
    buffer = io.BytesIO()
    frame = series.frame().tz_localize(None).reset_index()
    with pd.ExcelWriter(buffer, engine="openpyxl") as writer:
        if title:
            pd.DataFrame({"About": ["this workbook"]}).to_excel(writer, sheet_name="About", index=False)
        frame.to_excel(writer, sheet_name=title or "Sheet", index=False, startrow=2 if title else 0)
    assert_bars(import_file(buffer.getvalue(), "1h", filename="x.xlsx"), series)


def test_a_damaged_workbook_is_refused_as_one(import_file: Import) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/workbook.xml", "<x/>")
    for content in (buffer.getvalue(), buffer.getvalue()[:80]):
        with pytest.raises(MarketDataError, match=r"Excel workbook that cannot be read|cannot be unpacked"):
            import_file(content, filename="prices.xlsx")


@pytest.mark.parametrize("other", ["__MACOSX/._XY.csv", ".DS_Store", "._XY.csv", "XY_status.txt"])
def test_metadata_in_an_archive_is_ignored(import_file: Import, other: str) -> None:
    series = daily("2024-02-26", 25)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/XY.csv", series.plain("%Y-%m-%d"))
        archive.writestr(other, b"\0\5\x16\7 data")
    assert_bars(import_file(buffer.getvalue(), filename="XY.zip"), series)
