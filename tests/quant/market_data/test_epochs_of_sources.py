"""Times as numbers since 1970, in every unit."""

import pytest

from tests.quant.market_data.conftest import Import
from tests.quant.market_data.series import Series, crypto, daily
from tests.quant.market_data.sources import assert_bars


def binance(series: Series, unit: int, header: str = "", closing: str = "0") -> str:
    times = series.opens.as_unit("ns").astype("int64") // unit
    rows = [",".join([str(t), *(f"{x}000000" for x in series.texts(i)), f"{series.volume[i]:.8f}", closing, "1.5", "55", "3.2", "4.1", "0"])
            for i, t in enumerate(times)]  # fmt: skip
    return "\n".join([*([header] if header else []), *rows]) + "\n"


@pytest.mark.parametrize("unit", [1_000_000_000, 1_000_000, 1_000, 1])
@pytest.mark.parametrize(
    "header",
    [
        "",
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
        "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,Taker buy base,Taker buy quote,Ignore",
    ],
)
def test_epochs_of_every_unit_are_read(import_file: Import, unit: int, header: str) -> None:
    series = crypto("2024-12-31 12:00", 48)
    imported = import_file(binance(series, unit, header, closing="1735649999999"), "1h")
    assert_bars(imported, series)
    assert imported.result["calendar"] == "24/7"


@pytest.mark.parametrize("units", [(1_000_000, 1_000), (1_000_000_000, 1_000_000), (1_000, 1)])
def test_the_unit_may_change_within_a_file(import_file: Import, units: tuple[int, int]) -> None:
    series = crypto("2024-12-30", 72)
    first, second = (binance(series, unit).splitlines() for unit in units)
    imported = import_file("\n".join([*first[:30], *second[30:]]), "1h")
    assert_bars(imported, series)
    assert "," in imported.result["reading"]["times"]


@pytest.mark.parametrize("title", ["time", "timestamp", "unix", "window_start", "ts_event", "Open time"])
@pytest.mark.parametrize("form", ["{}", "{}.0", "{}.000000"])
def test_epochs_may_be_written_as_fractions(import_file: Import, title: str, form: str) -> None:
    series = crypto("2024-12-31", 48)
    times = series.opens.astype("int64") // 10**9
    rows = [
        ",".join([form.format(t), *series.texts(i), str(int(series.volume[i]))]) for i, t in enumerate(times)
    ]
    assert_bars(import_file(f"{title},open,high,low,close,volume\n" + "\n".join(rows), "1h"), series)


@pytest.mark.parametrize("start", ["1965-01-04", "1955-03-01", "1969-12-15"])
def test_epochs_before_1970_are_read(import_file: Import, start: str) -> None:
    series = daily(start, 20, price=84.1)
    times = series.opens.astype("int64") // 10**9
    rows = [",".join([str(t), *series.texts(i)]) for i, t in enumerate(times)]
    assert_bars(import_file("time,open,high,low,close\n" + "\n".join(rows)), series, volume=False)


@pytest.mark.parametrize(("date", "time"), [("date", "time"), ("Date", "Timestamp"), ("day", "unix")])
def test_an_epoch_wins_over_a_local_date(import_file: Import, date: str, time: str) -> None:
    series = crypto("2024-12-31 12:00", 48)
    rows = [f"{t.tz_convert('Asia/Tokyo'):%Y-%m-%d %H:%M:%S},{t.value // 10**9},{','.join(series.texts(i))},{int(series.volume[i])}"
            for i, t in enumerate(series.opens)]  # fmt: skip
    assert_bars(import_file(f"{date},{time},open,high,low,close,volume\n" + "\n".join(rows), "1h"), series)
