"""Files as sources write them give exactly the bars that they contain, whatever their values, zones and columns."""

import pandas as pd
import pytest

from tests.quant.market_data.conftest import Import
from tests.quant.market_data.series import Series, crypto, daily, fx, sessions_of
from tests.quant.market_data.sources import SEEDS, assert_bars, metatrader
from workers.market_data.errors import MarketDataError


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
