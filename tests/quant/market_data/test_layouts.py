"""Files in the layouts of their sources."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from tests.quant.market_data.conftest import Import, gzip_text, yahoo
from workers.market_data.errors import MarketDataError

DAYS = pd.bdate_range("2010-03-01", periods=6)
YAHOO = yahoo(DAYS, np.arange(10.0, 16.0))


def test_a_yahoo_file_gives_its_prices_at_midnight_utc(import_file: Import) -> None:
    imported = import_file(YAHOO)
    assert list(imported.bars.index) == [pd.Timestamp(day, tz="UTC") for day in DAYS]
    assert imported.bars["close"].tolist() == [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]
    assert imported.bars["high"].iloc[0] == 10.1
    assert imported.result["quality"]["layout"] == "yahoo"
    assert imported.result["quality"]["adjustment"] == "available"
    assert imported.result["rows"] == 6
    assert imported.result["start"] == "2010-03-01T00:00:00+00:00"


def test_adjusting_scales_all_four_prices(import_file: Import) -> None:
    close = np.array([100.0, 100.0, 50.0, 50.0])
    adjusted = np.array([50.0, 50.0, 50.0, 50.0])
    imported = import_file(yahoo(DAYS[:4], close, adjusted), adjust=True)
    assert imported.bars["close"].tolist() == [50.0] * 4
    assert imported.bars["high"].to_numpy() == pytest.approx([50.5] * 4)
    assert imported.bars["open"].to_numpy() == pytest.approx([50.0] * 4)
    assert imported.result["quality"]["suspected_splits"] == 0
    assert import_file(yahoo(DAYS[:4], close, adjusted)).result["quality"]["suspected_splits"] == 1


def test_adjusting_without_an_adjusted_close_is_rejected(import_file: Import) -> None:
    with pytest.raises(MarketDataError, match="adjusted close, but the file has none"):
        import_file("Date,Open,High,Low,Close,Volume\n2010-03-01,1,1,1,1,5\n", adjust=True)


def test_the_three_header_lines_of_newer_yahoo_files_are_read(import_file: Import) -> None:
    text = (
        "Price,Close,High,Low,Open,Volume\nTicker,XY,XY,XY,XY,XY\nDate,,,,,\n"
        "2024-01-02,10,11,9,9.5,100\n2024-01-03,11,12,10,10.5,200\n"
    )
    bars = import_file(text).bars
    assert bars["open"].tolist() == [9.5, 10.5]
    assert bars["close"].tolist() == [10.0, 11.0]


def test_a_stooq_ascii_file_is_read_and_its_period_checked(import_file: Import) -> None:
    text = (
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        "XY.US,60,20240102,160000,1,2,0.5,1.5,10,0\nXY.US,60,20240102,170000,1.5,2,1,1.2,20,0\n"
    )
    imported = import_file(text, "1h", timezone="UTC")
    assert imported.result["quality"]["layout"] == "stooq"
    assert imported.result["quality"]["ignored_columns"] == ["<OPENINT>"]
    assert imported.bars.index[0] == pd.Timestamp("2024-01-02 16:00", tz="UTC")
    with pytest.raises(MarketDataError, match="the period of the file is '60', not 1d"):
        import_file(text, "1d")


def test_a_metatrader_5_file_gives_ticks_as_volume_and_the_spread_in_price(import_file: Import) -> None:
    text = (
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
        "2024.01.02\t00:00:00\t1.10000\t1.10100\t1.09900\t1.10050\t55\t0\t12\n"
        "2024.01.02\t01:00:00\t1.10050\t1.10150\t1.09950\t1.10000\t66\t0\t9\n"
    )
    imported = import_file(text, "1h", timezone="UTC")
    assert imported.bars["volume"].tolist() == [55.0, 66.0]
    assert imported.bars["spread"].to_numpy() == pytest.approx([0.00012, 0.00009])


def test_a_metatrader_4_file_without_a_header_is_read(import_file: Import) -> None:
    text = "2012.02.01,00:00,1.3,1.4,1.2,1.35,7\n2012.02.01,00:01,1.35,1.4,1.3,1.36,8\n"
    imported = import_file(text, "1m", timezone="UTC")
    assert imported.result["quality"]["layout"] == "metatrader"
    assert imported.bars.index[1] == pd.Timestamp("2012-02-01 00:01", tz="UTC")


@pytest.mark.parametrize(
    ("filename", "text"),
    [
        ("DAT_ASCII_EURUSD_M1_201207.csv", "20120702 000000;1.3;1.4;1.2;1.35;0\n20120702 000100;1.35;1.4;1.3;1.36;0\n"),
        ("DAT_MT_EURUSD_M1_201207.csv", "2012.07.02,00:00,1.3,1.4,1.2,1.35,0\n2012.07.02,00:01,1.35,1.4,1.3,1.36,0\n"),
    ],
)  # fmt: skip
def test_histdata_files_are_eastern_standard_time_all_year(
    import_file: Import, filename: str, text: str
) -> None:
    imported = import_file(text, "1m", filename=filename)
    assert imported.bars.index[0] == pd.Timestamp("2012-07-02 05:00", tz="UTC")
    assert imported.result["quality"]["layout"] == "histdata"
    assert imported.result["quality"]["has_volume"] is False


def test_gzip_and_zip_and_byte_order_marks_are_unpacked(import_file: Import) -> None:
    plain = import_file(YAHOO)
    assert import_file(gzip_text(YAHOO)).content == plain.content
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("XY.csv", YAHOO)
        file.writestr("XY_status.txt", "complete")
    assert import_file(archive.getvalue()).content == plain.content
    assert import_file("\ufeff" + YAHOO.replace("\n", "\r\n")).content == plain.content


def test_parquet_with_times_as_index_or_column_is_read(import_file: Import) -> None:
    bars = import_file(YAHOO).bars
    for frame in (bars, bars.reset_index(names="Date"), bars.tz_convert("America/New_York")):
        buffer = io.BytesIO()
        frame.to_parquet(buffer)
        again = import_file(buffer.getvalue(), filename="x.parquet")
        assert np.array_equal(again.bars["close"], bars["close"])
        assert again.result["quality"]["layout"] == "parquet"


def test_the_same_file_gives_the_same_bytes(import_file: Import) -> None:
    first, second = import_file(YAHOO), import_file(YAHOO)
    assert first.content == second.content
    assert first.result["sha256"] == second.result["sha256"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"\x81\x8d\x8f\x90 binary", "neither text in UTF-8, UTF-16 or Windows-1252"),
        ("", "the file is empty"),
        ("hello\nworld\n", "the column open, high, low and close is missing"),
        ("Date,Open,High,Low,Close\n", "contains no rows below its header"),
        ("Date,Open,High,Low,Close,Close\n2010-01-04,1,1,1,1,1\n", "two columns for close"),
        (
            "Date,Open,High,Low,Close\n2010-01-04,1,1,1,1,7,8\n",
            "more cells than the 5 titles of the header at line 2",
        ),
        (b"\x1f\x8b\x08\x00broken", "cannot be unpacked"),
        (b"PAR1 nothing", "Parquet file cannot be read"),
    ],
)
def test_a_file_without_valid_bars_is_rejected_with_a_reason(
    import_file: Import, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(MarketDataError, match=sentence):
        import_file(text)
