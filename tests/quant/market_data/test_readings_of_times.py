"""Zone, stamp and calendar are decided by the sessions of known markets, or refused with the options that decide."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.quant.market_data.conftest import Import
from tests.quant.market_data.series import Series, crypto, daily, fx, sessions_of
from workers.market_data.calendars import infer_calendar
from workers.market_data.errors import MarketDataError
from workers.market_data.exchanges import compute_sessions, exchange_names, find_exchange, table_version
from workers.market_data.sessions import Sessions

MARKETS = {
    "XNYS": "America/New_York", "XLON": "Europe/London", "XETR": "Europe/Berlin", "XTKS": "Asia/Tokyo",
    "XHKG": "Asia/Hong_Kong", "XASX": "Australia/Sydney", "XBOM": "Asia/Kolkata", "XTAE": "Asia/Tel_Aviv",
    "XSAU": "Asia/Riyadh", "XSHG": "Asia/Shanghai", "XJSE": "Africa/Johannesburg", "XKRX": "Asia/Seoul",
    "XNZE": "Pacific/Auckland", "XSWX": "Europe/Zurich", "XTAI": "Asia/Taipei", "XBKK": "Asia/Bangkok",
}  # fmt: skip


@pytest.mark.parametrize("step", ["1h", "15min"])
@pytest.mark.parametrize("calendar", MARKETS)
def test_the_calendar_is_that_of_the_exchange(import_file: Import, calendar: str, step: str) -> None:
    """Nothing is missing, not even over a break for lunch, and Sunday bars do not mean currencies."""
    series = sessions_of(calendar, "2023-09-01", 140, step)
    imported = import_file(series.plain("%Y-%m-%dT%H:%M:%SZ"), "1h" if step == "1h" else "15m")
    hours = {(o - d, c - d) for o, c, d in _sessions(calendar)}
    same = {other for other in exchange_names() if {(o - d, c - d) for o, c, d in _sessions(other)} == hours}
    assert imported.result["calendar"] == calendar or imported.result["calendar"] in same
    assert imported.result["quality"]["gaps"] == 0
    assert imported.result["warnings"] == []


def _sessions(calendar: str) -> list[tuple[int, int, int]]:
    exchange = find_exchange(calendar)
    assert exchange is not None
    stored = exchange.between(pd.Timestamp("2023-09-01").value, pd.Timestamp("2024-03-10").value)
    return list(zip(stored.opens.tolist(), stored.closes.tolist(), stored.days.tolist(), strict=True))


@pytest.mark.parametrize("calendar", ["XNYS", "XLON", "XETR", "XASX", "XBOM", "XTAE", "XSAU"])
def test_local_times_of_an_exchange_are_recognised_and_not_taken_for_utc(
    import_file: Import, calendar: str
) -> None:
    series = sessions_of(calendar, "2023-10-02", 120)
    zone = MARKETS[calendar]
    imported = import_file(series.plain(zone=zone), "1h")
    assert list(imported.bars.index) == list(series.opens)
    reading = imported.result["reading"]["timezone"]
    assert reading["reason"].startswith("fits ")
    assert reading["runner_up"]
    assert any("have no offset" in warning for warning in imported.result["warnings"])
    assert import_file(series.plain(zone=zone), "1h", timezone=zone).result["warnings"] == []


@pytest.mark.parametrize(("calendar", "days"), [("XNYS", 61), ("XNYS", 120), ("XLON", 120), ("XTAE", 90)])
def test_a_wrong_zone_has_a_warning_that_names_the_right_one(
    import_file: Import, calendar: str, days: int
) -> None:
    series = sessions_of(calendar, "2023-10-02", days)
    zone = MARKETS[calendar]
    imported = import_file(series.plain(zone=zone), "1h", timezone="Asia/Tokyo")
    assert any(f"timezone={zone}" in warning for warning in imported.result["warnings"])


@pytest.mark.parametrize("days", [5, 8, 12])
def test_too_few_sessions_are_refused_with_the_candidates(import_file: Import, days: int) -> None:
    """New York, Santiago and others have these hours; only holidays tell them apart."""
    series = sessions_of("XNYS", "2024-03-04", days)
    with pytest.raises(MarketDataError, match=r"set timezone to America/New_York \(XNYS\) or ") as refusal:
        import_file(series.plain(zone="America/New_York"), "1h")
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("calendar", ["XNYS", "XLON", "XASX", "XETR"])
@pytest.mark.parametrize("step", ["1h", "5min", "1min"])
def test_bars_stamped_at_their_close_have_a_warning(import_file: Import, calendar: str, step: str) -> None:
    series = sessions_of(calendar, "2024-01-08", 12, step)
    timeframe = {"1h": "1h", "5min": "5m", "1min": "1m"}[step]
    text = series.plain(at="close")
    closing = import_file(text, timeframe, timezone="UTC", stamped="close")
    assert list(closing.bars.index) == list(series.opens)
    assert closing.result["warnings"] == []
    opening = import_file(text, timeframe, timezone="UTC")
    assert any("stamped=close" in warning for warning in opening.result["warnings"])
    honest = import_file(series.plain(), timeframe, timezone="UTC")
    assert honest.result["warnings"] == []


STAMPED: list[tuple[Series, str]] = [
    (sessions_of("XBOM", "2022-08-15", 12, "4h"), "Asia/Kolkata"),
    (sessions_of("XETR", "2023-05-02", 15, "30min"), "Europe/Berlin"),
    (sessions_of("XTKS", "2023-02-01", 40, "4h"), "Asia/Tokyo"),
    (sessions_of("XAMS", "2023-07-24", 60, "4h"), "Europe/Amsterdam"),
    (sessions_of("BVMF", "2023-10-10", 25, "1h"), "America/Sao_Paulo"),
    (fx("2023-08-28", 9), "America/New_York"),
    (crypto("2023-08-01", 300), "Asia/Tokyo"),
    (crypto("2023-08-01", 300, "5min"), "UTC"),
]
TIMEFRAME = {"5min": "5m", "30min": "30m", "1h": "1h", "4h": "4h"}


@pytest.mark.parametrize("is_instant", [False, True], ids=["zone", "instants"])
@pytest.mark.parametrize(
    ("series", "zone"), STAMPED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_close_is_never_silently_taken_for_an_open(
    import_file: Import, series: Series, zone: str, is_instant: bool
) -> None:
    """A warning if the sessions show it; otherwise the assumption and the other reading are part of the result."""
    timeframe = next(name for step, name in TIMEFRAME.items() if pd.Timedelta(step) == series.step)
    form = "%Y-%m-%dT%H:%M:%SZ" if is_instant else "%Y-%m-%d %H:%M:%S"
    options = {} if is_instant else {"timezone": zone}
    written_in = "UTC" if is_instant else zone

    closes = import_file(series.plain(form, written_in, at="close"), timeframe, **options)
    stamped = closes.result["reading"]["stamped"]
    if list(closes.bars.index) != list(series.opens):
        told = [
            text for text in (*closes.result["warnings"], *closes.quality["notes"]) if "stamped=close" in text
        ]
        assert told
        assert stamped["runner_up"]
    decided = import_file(series.plain(form, written_in, at="close"), timeframe, stamped="close", **options)
    assert list(decided.bars.index) == list(series.opens)

    opens = import_file(series.plain(form, written_in), timeframe, **options)
    assert list(opens.bars.index) == list(series.opens)
    assert opens.result["warnings"] == [], "an honest file has no warning"


@pytest.mark.parametrize("options", [{}, {"stamped": "close"}], ids=["evident", "chosen"])
@pytest.mark.parametrize("calendar", ["XNYS", "XTKS", "XASX", "XLON", "XTAE"])
def test_daily_bars_at_the_close_of_their_session_have_its_date(
    import_file: Import, calendar: str, options: dict[str, str]
) -> None:
    """They were bars of the next session; a short session closes while 24 hours before it another one is open."""
    days = sessions_of(calendar, "2024-10-01", 90, "1D")
    table = Sessions.covering(calendar, days.opens[0].value, days.opens[-1].value)
    rows = slice(*np.searchsorted(table.opens, [days.opens[0].value, days.opens[-1].value + 1]))
    closes = replace(days, opens=pd.DatetimeIndex(table.closes[rows], tz="UTC"))
    imported = import_file(closes.plain("%Y-%m-%dT%H:%M:%SZ"), "1d", **options)
    assert list(imported.bars.index) == list(pd.DatetimeIndex(table.days[rows], tz="UTC"))
    assert imported.result["reading"]["stamped"]["value"] == "close"
    assert imported.result["warnings"] == []


@pytest.mark.parametrize("calendar", ["XNYS", "XTKS", "XLON"])
def test_daily_bars_at_the_open_of_their_session_keep_it(import_file: Import, calendar: str) -> None:
    days = sessions_of(calendar, "2024-10-01", 90, "1D")
    imported = import_file(days.plain("%Y-%m-%dT%H:%M:%SZ"), "1d")
    assert list(imported.bars.index) == list(days.opens)
    assert imported.result["reading"]["stamped"]["value"] == "open"


def test_the_exchange_of_the_zone_shows_the_stamp(import_file: Import) -> None:
    """As opens these times fit another exchange; but the file is in the time of Mumbai."""
    series, zone = STAMPED[0]
    closes = import_file(series.plain(zone=zone, at="close"), "4h", timezone=zone)
    assert any("stamped=close" in warning and "XBOM" in warning for warning in closes.result["warnings"])


@pytest.mark.parametrize(("step", "timeframe"), [("1h", "1h"), ("5min", "5m"), ("1min", "1m")])
def test_a_market_that_never_closes_shows_no_stamp(import_file: Import, step: str, timeframe: str) -> None:
    series = crypto("2024-05-01", 1400, step)
    imported = import_file(series.plain("%Y-%m-%dT%H:%M:%SZ"), timeframe)
    stamped = imported.result["reading"]["stamped"]
    assert stamped["value"] == "open"
    assert stamped["reason"].startswith("assumed")
    assert stamped["runner_up"].startswith("close, ")
    assert any(note.startswith("assumed that the times are the opens") for note in imported.quality["notes"])


def test_sessions_that_show_the_stamp_need_no_assumption(import_file: Import) -> None:
    imported = import_file(sessions_of("XNYS", "2024-01-08", 30).plain(), "1h", timezone="UTC")
    stamped = imported.result["reading"]["stamped"]
    assert stamped["reason"].startswith("fits XNYS")
    assert not [note for note in imported.quality["notes"] if "assumed" in note]


@pytest.mark.parametrize("calendar", ["XNYS", "XLON", "XASX"])
def test_close_stamps_without_a_zone_are_refused_with_both_options(
    import_file: Import, calendar: str
) -> None:
    series = sessions_of(calendar, "2023-10-02", 120)
    with pytest.raises(MarketDataError, match=r"set timezone to .* with stamped=close"):
        import_file(series.plain(zone=MARKETS[calendar], at="close"), "1h")


def test_a_file_with_only_close_times_is_stamped_at_the_close(import_file: Import) -> None:
    series = crypto("2024-01-01", 60)
    rows = [
        f"{(t + series.step).value // 10**6},{','.join(series.texts(i))}" for i, t in enumerate(series.opens)
    ]
    imported = import_file("close_time,open,high,low,close\n" + "\n".join(rows), "1h")
    assert list(imported.bars.index) == list(series.opens)
    assert imported.result["quality"]["stamped"] == "close"


@pytest.mark.parametrize("zone", ["UTC", "America/New_York+7"])
def test_weeks_of_currencies_show_their_zone(import_file: Import, zone: str) -> None:
    series = fx("2024-02-19", 6)
    imported = import_file(series.plain(zone=zone), "1h")
    assert list(imported.bars.index) == list(series.opens)
    assert imported.result["reading"]["timezone"]["value"] == zone


def test_times_that_show_nothing_are_utc_with_a_warning(import_file: Import) -> None:
    series = crypto("2024-05-01", 24 * 20)
    imported = import_file(series.plain(), "1h")
    assert list(imported.bars.index) == list(series.opens)
    assert imported.result["calendar"] == "24/7"
    assert any("set timezone" in warning for warning in imported.result["warnings"])


@pytest.mark.parametrize("share", [0.08, 0.3])
def test_more_than_a_twentieth_of_missing_bars_has_a_warning(import_file: Import, share: float) -> None:
    series = crypto("2024-05-01", 24 * 30)
    rng = np.random.default_rng(3)
    kept = np.flatnonzero(rng.random(len(series.opens)) > share)
    sparse = Series(series.opens[kept], series.prices[kept], series.volume[kept], series.step, 2)
    imported = import_file(sparse.plain("%Y-%m-%dT%H:%M:%SZ"), "1h")
    assert any("expects are missing" in warning for warning in imported.result["warnings"])
    assert import_file(series.plain("%Y-%m-%dT%H:%M:%SZ"), "1h").result["warnings"] == []


@pytest.mark.parametrize(
    ("calendar", "start"),
    [("XNYS", "2020-01-01"), ("XTAE", "2022-01-01"), ("XSAU", "2022-01-01"), ("XTKS", "2021-01-01")],
)
def test_dates_of_a_year_show_the_exchange(calendar: str, start: str) -> None:
    exchange = find_exchange(calendar)
    assert exchange is not None
    first = pd.Timestamp(start)
    days = exchange.between(first.value, (first + pd.Timedelta(days=365)).value).days
    assert infer_calendar(pd.DatetimeIndex(days).tz_localize("UTC")) == calendar


def test_daily_bars_on_sundays_are_those_of_currencies() -> None:
    days = pd.date_range("2023-01-01", periods=200, freq="D", tz="UTC")
    assert infer_calendar(days[days.dayofweek != 5]) == "fx"
    assert infer_calendar(daily("2023-01-02", 200).opens) == "weekdays"


def test_the_stored_sessions_are_those_of_the_pinned_package() -> None:
    """Write the table again after an upgrade: python -m workers.market_data.exchanges."""
    import exchange_calendars

    assert table_version() == exchange_calendars.__version__
    for name in ("XNYS", "XTAE", "XHKG"):
        exchange = find_exchange(name)
        assert exchange is not None
        first, last = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-12-31")
        zone, frame = compute_sessions(name, first, last)
        stored = exchange.between(first.value, last.value)
        assert zone == exchange.timezone
        assert np.array_equal(pd.DatetimeIndex(frame["day"]).as_unit("ns").asi8, stored.days)
        for column, values in (
            ("open", stored.opens),
            ("close", stored.closes),
            ("break_start", stored.break_starts),
        ):
            assert np.array_equal(frame[column].to_numpy(np.int64) * 60_000_000_000, values - stored.days)
