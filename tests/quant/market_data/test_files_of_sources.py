"""Files as sources write them give exactly the bars that they contain, whatever their values, zones and columns."""

import io
import json
import zipfile
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.quant.market_data.conftest import Import, Result
from tests.quant.market_data.series import Series, crypto, daily, fx, sessions_of, walk
from workers.market_data.errors import MarketDataError

SEEDS = (1, 2, 3)
METATRADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"


def assert_bars(imported: Result, series: Series, volume: bool = True) -> None:
    bars = imported.bars
    assert list(bars.index) == list(series.opens)
    assert np.array_equal(bars[["open", "high", "low", "close"]].to_numpy(), series.prices)
    if volume:
        assert np.array_equal(bars["volume"].to_numpy(), series.volume)


def metatrader(series: Series, zone: str, spread: int = 7) -> str:
    return series.csv(
        METATRADER,
        lambda t, p, v: "\t".join([*t.split(), *p, v, "0", str(spread)]),
        "%Y.%m.%d %H:%M:%S",
        zone,
        end="\r\n",
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252"])
def test_text_is_recognised_in_every_encoding(import_file: Import, seed: int, encoding: str) -> None:
    series = fx("2024-03-04", 1, seed=seed)
    imported = import_file(metatrader(series, "UTC").encode(encoding), "1h", timezone="UTC")
    assert_bars(imported, series)
    assert imported.bars["spread"].to_numpy() == pytest.approx(7e-5, abs=1e-12)


@pytest.mark.parametrize("zone", ["Europe/Athens", "America/New_York+7", "Europe/Moscow"])
def test_the_time_of_a_server_is_not_taken_for_utc(import_file: Import, zone: str) -> None:
    series = fx("2024-04-01", 1)
    short = Series(series.opens[:90], series.prices[:90], series.volume[:90], series.step, 5)
    text = metatrader(short, "Europe/Athens" if "+" in zone else zone)
    with pytest.raises(MarketDataError, match=r"set timezone, for example to one of Europe/Athens.*UTC"):
        import_file(text, "1h")
    assert_bars(import_file(text, "1h", timezone=zone), short)


def test_weekends_show_the_zone_of_a_server(import_file: Import) -> None:
    """In March the clocks of New York and Athens differ: only one of the zones fits."""
    series = fx("2024-02-19", 7)
    imported = import_file(metatrader(series, "Europe/Athens"), "1h")
    assert imported.result["reading"]["timezone"]["value"] == "Europe/Athens"
    assert imported.result["calendar"] == "fx"
    assert imported.result["warnings"]
    assert_bars(imported, series)


@pytest.mark.parametrize(
    ("decimals", "price", "point"), [(5, 1.0871, 1e-5), (3, 150.21, 1e-3), (2, 2034.5, 1e-2)]
)
def test_a_spread_of_copy_rates_is_in_points(
    import_file: Import, decimals: int, price: float, point: float
) -> None:
    start = fx("2024-03-04", 1, price=price)
    prices = np.round(start.prices, decimals)
    prices[0] = np.round(prices[0, 0], decimals - 1) + 3 * 10.0**-decimals
    series = Series(start.opens, np.round(prices, decimals), start.volume, start.step, decimals)
    text = series.csv(
        "time,open,high,low,close,tick_volume,spread,real_volume",
        lambda t, p, v: ",".join([t, *(str(float(x)) for x in p), v, "12", "0"]),
    )
    imported = import_file(text, "1h")
    assert_bars(imported, series)
    assert imported.bars["spread"].to_numpy() == pytest.approx(12 * point, rel=1e-12)
    assert import_file(text, "1h", point_size=point * 10).bars["spread"].iloc[0] == pytest.approx(120 * point)


def test_a_spread_in_points_of_an_unknown_source_is_refused(import_file: Import) -> None:
    series = fx("2024-03-04", 1)
    text = series.csv("time,open,high,low,close,volume,spread", lambda t, p, v: ",".join([t, *p, v, "15"]))
    with pytest.raises(MarketDataError, match=r"in points, not in price: set point_size .* probably 1e-05"):
        import_file(text, "1h")
    assert import_file(text, "1h", point_size=1e-5).bars["spread"].iloc[0] == pytest.approx(15e-5)


def with_spread(price: float, decimals: int, spread: str, titles: str = "spread") -> str:
    times = pd.date_range("2024-03-04", periods=60, freq="1h", tz="UTC").as_unit("ns")
    series = walk(times, "1h", 1, price, decimals)
    header = f"time,open,high,low,close,volume,{titles}"
    return series.csv(header, lambda t, p, v: ",".join([t, *p, v, spread]))


@pytest.mark.parametrize(
    ("price", "decimals", "spread"),
    [(150.123, 3, "7"), (2010.15, 2, "21"), (15012.5, 1, "100"), (61234.55, 2, "1500"), (23.154, 3, "1")],
    ids=["USDJPY", "XAUUSD", "DAX", "BTCUSD", "XAGUSD"],
)
def test_whole_spreads_beside_prices_with_decimals_are_never_stored_as_a_price(
    import_file: Import, price: float, decimals: int, spread: str
) -> None:
    """Below 5 % of the price, so not implausible: a spread of 7 points of USDJPY was stored as 7 yen."""
    text, point = with_spread(price, decimals, spread), 10.0**-decimals
    with pytest.raises(MarketDataError, match=f"point_size.*probably {point:g}, or to 1") as refusal:
        import_file(text, "1h", timezone="UTC")
    assert len(str(refusal.value)) < 300
    for size in (point, 1.0):
        bars = import_file(text, "1h", timezone="UTC", point_size=size).bars
        assert bars["spread"].to_numpy() == pytest.approx(float(spread) * size, rel=1e-12)


@pytest.mark.parametrize(
    ("price", "decimals", "spread", "is_noted"), [(61234.55, 2, "5", True), (5210.0, 0, "5", False), (150.123, 3, "0.007", False)]
)  # fmt: skip
def test_a_spread_in_price_is_stored_as_it_is(
    import_file: Import, price: float, decimals: int, spread: str, is_noted: bool
) -> None:
    imported = import_file(with_spread(price, decimals, spread), "1h", timezone="UTC")
    assert imported.bars["spread"].to_numpy() == pytest.approx(float(spread))
    assert any("set point_size" in note for note in imported.quality["notes"]) == is_noted


@pytest.mark.parametrize("options", [{}, {"point_size": 0.01}], ids=["plain", "point-size"])
def test_bid_and_ask_are_prices_also_if_their_difference_is_whole(
    import_file: Import, options: dict[str, float]
) -> None:
    text = with_spread(101.25, 2, "100.25,101.25", titles="bid,ask")
    assert (import_file(text, "1h", timezone="UTC", **options).bars["spread"] == 1.0).all()


def test_bid_and_ask_give_the_spread(import_file: Import) -> None:
    series = fx("2024-03-04", 1)
    text = series.csv(
        "time,open,high,low,close,volume,bid,ask",
        lambda t, p, v: ",".join([t, *p, v, p[3], f"{float(p[3]) + 2e-4:.5f}"]),
    )
    assert import_file(text, "1h").bars["spread"].to_numpy() == pytest.approx(2e-4, abs=1e-9)


@pytest.mark.parametrize("extra", [("Plot", "Plot"), ("Volume MA", "Volume MA"), ("", "")])
def test_equal_titles_of_unused_columns_are_ignored(import_file: Import, extra: tuple[str, str]) -> None:
    series = sessions_of("XNYS", "2024-03-04", 10)
    text = series.csv(
        f"time,open,high,low,close,Volume,{extra[0]},{extra[1]}",
        lambda t, p, v: ",".join([t, *p, v, "NaN", ""]),
    )
    assert_bars(import_file(text, "1h"), series)
    with pytest.raises(MarketDataError, match="two columns for close"):
        import_file(text.replace(f",{extra[0]},{extra[1]}\n", ",close,close\n", 1), "1h")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_header_lines_of_yahoo_are_read(import_file: Import, seed: int) -> None:
    series = daily("2024-02-26", 25, seed)
    rows = [f"{t:%Y-%m-%d}," + ",".join([p[3], p[1], p[2], p[0], str(int(v))])
            for t, p, v in zip(series.opens, map(series.texts, range(25)), series.volume, strict=True)]  # fmt: skip
    by_ticker = ["Ticker,XY,XY,XY,XY,XY", "Price,Close,High,Low,Open,Volume", "Date,,,,,", *rows]
    by_price = ["Price,Close,High,Low,Open,Volume", "Ticker,XY,XY,XY,XY,XY", "Date,,,,,", *rows]
    for lines in (by_ticker, by_price):
        assert_bars(import_file("\n".join(lines)), series)


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


@pytest.mark.parametrize("seed", SEEDS)
def test_lines_above_the_header_and_reversed_rows_are_noted(import_file: Import, seed: int) -> None:
    series = crypto("2024-12-31 12:00", 48, seed=seed)
    rows = [f"{t.value // 10**9},{t:%Y-%m-%d %H:%M:%S},BTC/USD,{','.join(series.texts(i))},{int(series.volume[i])},1"
            for i, t in enumerate(series.opens)]  # fmt: skip
    header = ["https://www.example.com", "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD"]
    imported = import_file("\n".join([*header, *reversed(rows)]), "1h")
    assert_bars(imported, series)
    notes = " ".join(imported.quality["notes"])
    assert "1 line above the header" in notes
    assert "newest first" in notes


@pytest.mark.parametrize("order", [("open", "high", "low", "close"), ("close", "volume", "open", "high", "low"), ("low", "close", "high", "open", "volume")])  # fmt: skip
@pytest.mark.parametrize(
    "form", ["%m/%d/%Y", "%Y-%m-%d", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%Y/%m/%d", "%Y%m%d"]
)
def test_columns_may_be_in_any_order(import_file: Import, order: tuple[str, ...], form: str) -> None:
    series = daily("2024-02-26", 25)
    names = ("open", "high", "low", "close")
    header = "Date," + ",".join({"close": "Close/Last"}.get(name, name.title()) for name in order)

    def row(time: str, prices: list[str], volume: str) -> str:
        cells = {**dict(zip(names, (f"${price}" for price in prices), strict=True)), "volume": volume}
        quoted = f'"{time}"' if "," in time else time
        return ",".join([quoted, *(cells[name] for name in order)])

    assert_bars(import_file(series.reverse().csv(header, row, form)), series, volume="volume" in order)


@pytest.mark.parametrize(
    ("start", "end", "delimiter"), [("sep=;\r\n", "\r\n", ";"), ("", "\r", ","), ("", "\n", "\t"), ('"sep=|"\n', "\n", "|"), ("", "\r\n", ";")]
)  # fmt: skip
def test_delimiters_and_line_ends_are_recognised(
    import_file: Import, start: str, end: str, delimiter: str
) -> None:
    series = daily("2024-02-26", 25)
    header = delimiter.join(["Date", "Open", "High", "Low", "Close", "Volume"])
    text = start + series.csv(header, lambda t, p, v: delimiter.join([t, *p, v]), "%Y-%m-%d", end=end)
    assert_bars(import_file(text), series)


@pytest.mark.parametrize(
    "form", ["%-m/%-d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M", "%-d/%-m/%Y %H:%M", "%d.%m.%Y %H:%M:%S.000"]
)
def test_clock_times_are_read_in_their_forms(import_file: Import, form: str) -> None:
    series = sessions_of("XNYS", "2024-03-04", 12)
    assert_bars(import_file(series.plain(form), "1h", timezone="UTC"), series)


@pytest.mark.parametrize("suffix", ["+00", "+00:00", "+0000", "Z", " UTC", " GMT+0000", " GMT"])
def test_offsets_of_utc_are_recognised(import_file: Import, suffix: str) -> None:
    series = sessions_of("XNYS", "2024-03-04", 10)
    assert_bars(
        import_file(series.plain(f"%Y-%m-%d %H:%M:%S{suffix}"), "1h", timezone="Europe/Berlin"), series
    )


@pytest.mark.parametrize(
    ("zone", "suffix"), [("Asia/Tokyo", "GMT+0900"), ("Asia/Kolkata", "GMT+0530"), ("Etc/GMT+5", "GMT-0500")]
)
def test_offsets_other_than_utc_are_subtracted(import_file: Import, zone: str, suffix: str) -> None:
    series = fx("2024-03-04", 1)
    text = series.csv(
        "Local time,Open,High,Low,Close,Volume",
        lambda t, p, v: ",".join([t, *p, v]),
        f"%d.%m.%Y %H:%M:%S.000 {suffix}",
        zone,
    )
    assert_bars(import_file(text, "1h"), series)


def test_a_zone_behind_each_time_is_used(import_file: Import) -> None:
    series = sessions_of("XNYS", "2024-03-04", 10)
    assert_bars(import_file(series.plain("%Y%m%d %H:%M:%S US/Eastern", "America/New_York"), "1h"), series)


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


@pytest.mark.parametrize(
    "preamble",
    [
        "Symbol,XY\nName,Example plc\n\n",
        "# comment\n# more\n",
        "Report of XY\n\n\n",
        '"Downloaded from https://example.com, 2024"\n',
    ],
)
def test_preambles_and_footers_are_skipped_and_noted(import_file: Import, preamble: str) -> None:
    series = daily("2024-02-26", 25)
    text = preamble + series.plain("%Y-%m-%d") + "\nSource: Example plc\nEnd of file\n"
    imported = import_file(text)
    assert_bars(imported, series)
    notes = " ".join(imported.quality["notes"])
    assert "above the header skipped" in notes
    assert "2 lines below the last row skipped" in notes


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open,High,Low,Close,Volume,Note\0",
        "Date\0,Open,High,Low,Close,Volume",
        "Date,Open\0,High,Low,Close,Volume,",
    ],
)
def test_nul_characters_are_ignored(import_file: Import, header: str) -> None:
    series = daily("2024-02-26", 25)
    assert_bars(
        import_file(series.plain("%Y-%m-%d").replace("Date,Open,High,Low,Close,Volume", header)), series
    )


@pytest.mark.parametrize("title", ["Gmt time", "Time (UTC)", "timestamp_utc"])
@pytest.mark.parametrize("start", ["2024-03-01", "2024-06-03", "2024-11-01"])
def test_unmoved_bars_of_weekends_are_dropped(import_file: Import, title: str, start: str) -> None:
    series = fx(start, 3)
    every = pd.date_range(series.opens[0], series.opens[-1], freq="1h")
    table = pd.DataFrame(series.prices, index=series.opens).reindex(every)
    close = table[3].ffill()
    filled = table.apply(lambda column: column.fillna(close))
    volume = pd.Series(series.volume, index=series.opens).reindex(every).fillna(0.0)
    rows = [f"{t:%d.%m.%Y %H:%M:%S.000},{','.join(map(str, filled.loc[t]))},{volume[t]:.0f}" for t in every]
    imported = import_file(f"{title},Open,High,Low,Close,Volume\n" + "\n".join(rows), "1h")
    assert_bars(imported, series)
    assert imported.result["calendar"] == "fx"
    assert f"{len(every) - len(series.opens)} unmoved bars" in " ".join(imported.quality["notes"])


@pytest.mark.parametrize(("date", "time"), [("date", "time"), ("Date", "Timestamp"), ("day", "unix")])
def test_an_epoch_wins_over_a_local_date(import_file: Import, date: str, time: str) -> None:
    series = crypto("2024-12-31 12:00", 48)
    rows = [f"{t.tz_convert('Asia/Tokyo'):%Y-%m-%d %H:%M:%S},{t.value // 10**9},{','.join(series.texts(i))},{int(series.volume[i])}"
            for i, t in enumerate(series.opens)]  # fmt: skip
    assert_bars(import_file(f"{date},{time},open,high,low,close,volume\n" + "\n".join(rows), "1h"), series)


@pytest.mark.parametrize("layout", ["histdata", "ninjatrader"])
def test_two_sources_of_one_layout_need_the_option(import_file: Import, layout: str) -> None:
    series = fx("2024-03-06", 1, step="1min")
    short = Series(series.opens[480:540], series.prices[480:540], series.volume[480:540], series.step, 5)
    zone, at = ("Etc/GMT+5", "open") if layout == "histdata" else ("UTC", "close")
    text = short.csv("", lambda t, p, v: ";".join([t, *p, v]), "%Y%m%d %H%M%S", zone, at)
    with pytest.raises(
        MarketDataError,
        match=r"histdata\.com .* and NinjaTrader .* set layout=histdata or layout=ninjatrader",
    ):
        import_file(text, "1m", filename="ES 03-24.Last.txt")
    assert_bars(import_file(text, "1m", layout=layout), short)


def test_finam_writes_the_time_of_moscow(import_file: Import) -> None:
    series = sessions_of("XMOS", "2024-03-04", 5)
    text = series.csv(
        "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>",
        lambda t, p, v: ";".join(["SBER", "60", *t.split(), *p, v]), "%Y%m%d %H%M%S", "Europe/Moscow",
    )  # fmt: skip
    imported = import_file(text, "1h")
    assert_bars(imported, series)
    assert imported.result["quality"]["layout"] == "finam"


@pytest.mark.parametrize(
    "titles",
    [
        ("Datum", "Zuletzt", "Eröffn.", "Hoch", "Tief", "Vol."),
        ("Date", "Dernier", "Ouv.", "Plus Haut", "Plus Bas", "Vol."),
        ("Fecha", "Último", "Apertura", "Máximo", "Mínimo", "Vol."),
        ("Data", "Último", "Abertura", "Máxima", "Mínima", "Vol."),
    ],
)
def test_titles_of_other_languages_are_known(import_file: Import, titles: tuple[str, ...]) -> None:
    series = daily("2024-02-26", 25)
    text = series.reverse().csv(
        ";".join(titles),
        lambda t, p, v: ";".join([t, p[3], p[0], p[1], p[2], v]).replace(".", ","),
        "%Y-%m-%d",
    )
    assert_bars(import_file(text.encode("cp1252")), series)


def test_unknown_titles_are_refused_and_not_read_by_position(import_file: Import) -> None:
    series = daily("2024-02-26", 25)
    with pytest.raises(
        MarketDataError, match=r"the column open, high, low and close is missing \(line 1: Dag,AA,BB"
    ):
        import_file(series.plain("%Y-%m-%d").replace("Date,Open,High,Low,Close,Volume", "Dag,AA,BB,CC,DD,EE"))
