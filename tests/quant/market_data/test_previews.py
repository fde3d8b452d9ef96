"""A preview shows the rows that an import stores, whatever the size of the file."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.quant.market_data.conftest import Import
from tests.quant.market_data.series import Series, crypto, daily, sessions_of
from workers.market_data.errors import MarketDataError
from workers.market_data.parameters import ImportParameters
from workers.market_data.preview import run_preview


class Job:
    def __init__(self, raw: Path) -> None:
        self.inputs = {"raw": raw}


def preview(path: Path, content: str | bytes, timeframe: str, **parameters: Any) -> dict[str, Any]:
    raw = path / "previewed"
    raw.write_bytes(content.encode() if isinstance(content, str) else content)
    return run_preview(ImportParameters(symbol="XY", timeframe=timeframe, **parameters), Job(raw))


def parquet(series: Series) -> bytes:
    buffer = io.BytesIO()
    series.frame().to_parquet(buffer)
    return buffer.getvalue()


@cache
def minutes() -> Series:
    return crypto("2024-01-01", 80_000, step="1min")


FILES: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "hours of New York": (
        lambda: sessions_of("XNYS", "2023-10-02", 100).plain(zone="America/New_York"),
        "1h",
    ),
    "days, newest first": (lambda: daily("2024-01-01", 40).reverse().plain("%d.%m.%Y"), "1d"),
    "many minutes": (lambda: minutes().plain("%Y-%m-%d %H:%M:%S+00:00"), "1m"),
    "many minutes below a remark": (lambda: "a remark\n\n" + minutes().plain("%Y-%m-%d %H:%M:%SZ"), "1m"),
    "many minutes, newest first": (lambda: minutes().reverse().plain("%Y-%m-%d %H:%M:%SZ"), "1m"),
    "many minutes in UTF-16": (lambda: minutes().plain("%Y-%m-%d %H:%M:%SZ").encode("utf-16"), "1m"),
    "many minutes in Parquet": (lambda: parquet(minutes()), "1m"),
    "many minutes without a header": (
        lambda: minutes().csv("", lambda t, p, v: ",".join([t, *p, v]), "%Y-%m-%d %H:%M:%SZ"),
        "1m",
    ),
}
"""The makers of the files, by name."""


@pytest.mark.parametrize("name", FILES)
def test_the_first_and_last_rows_are_those_of_the_import(
    import_file: Import, tmp_path: Path, name: str
) -> None:
    make, timeframe = FILES[name]
    content = make()
    shown = preview(tmp_path, content, timeframe)
    imported = import_file(content, timeframe)
    bars = imported.bars
    assert shown["valid"] is True
    for rows, expected in ((shown["first"], bars.head(5)), (shown["last"], bars.tail(5))):
        assert [pd.Timestamp(row["time"]) for row in rows] == list(expected.index)
        assert [row["close"] for row in rows] == expected["close"].tolist()
        assert [row["volume"] for row in rows] == expected["volume"].tolist()
    assert shown["calendar"]["value"] == imported.result["calendar"]
    assert shown["timezone"] == imported.result["reading"]["timezone"]
    assert shown["layout"] == imported.result["quality"]["layout"]
    assert shown["is_complete"] is ("many" not in name)
    if shown["is_complete"]:
        assert shown["warnings"] == imported.result["warnings"]


def test_local_times_are_those_of_the_market(tmp_path: Path) -> None:
    series = sessions_of("XASX", "2024-01-08", 60)
    shown = preview(tmp_path, series.plain("%Y-%m-%dT%H:%M:%SZ"), "1h")
    assert shown["local_zone"] == "Australia/Sydney"
    assert shown["first"][0]["local_time"] == "2024-01-08 10:00"
    servers = preview(tmp_path, series.plain(zone="America/New_York+7"), "1h", timezone="America/New_York+7")
    assert servers["first"][0]["time"] == "2024-01-07T23:00:00Z"
    assert servers["first"][0]["local_time"] == "2024-01-08 01:00"


@pytest.mark.parametrize(
    ("content", "timeframe", "option"),
    [
        ("20240306 080100;1;1;1;1;5\n20240306 080200;1;1;1;1;5\n", "1m", "layout"),
        (sessions_of("XNYS", "2024-03-04", 8).plain(zone="America/New_York"), "1h", "timezone"),
        ("Date;Open;High;Low;Close;Volume\n20.02.2024;61.234;62.773;61.198;62.328;12\n", "1d", "decimal"),
        ("hello\n", "1d", None),
        (b"\x1f\x8bbroken", "1d", None),
    ],
)
def test_a_refusal_names_the_option_that_settles_it(
    import_file: Import, tmp_path: Path, content: str | bytes, timeframe: str, option: str | None
) -> None:
    shown = preview(tmp_path, content, timeframe)
    with pytest.raises(MarketDataError) as refusal:
        import_file(content, timeframe)
    assert shown == {"valid": False, "error": str(refusal.value), "option": option}
