"""Missing and suspicious bars are counted by the calendar of the market, and neither rejected nor repaired."""

from typing import Any

import numpy as np
import pandas as pd

from tests.quant.market_data.conftest import Import, yahoo
from workers.market_data.calendars import infer_calendar
from workers.market_data.quality import Findings, examine, missing_between
from workers.market_data.sessions import Sessions

WIDE = (pd.Timestamp("2010-01-01").value, pd.Timestamp("2010-12-31").value)


def sessions_of_new_york() -> pd.DatetimeIndex:
    table = Sessions.covering("XNYS", *WIDE)
    days = pd.DatetimeIndex(table.days).tz_localize("UTC")
    return days[(days >= "2010-01-01") & (days < "2011-01-01")]


def fx_hours(start: str, end: str) -> pd.DatetimeIndex:
    """Hours of the FX week in winter: Sunday 22:00 to Friday 22:00 UTC."""
    hours = pd.date_range(start, end, freq="1h", tz="UTC")
    hour_of_week = hours.dayofweek * 24 + hours.hour
    return hours[(hour_of_week < 4 * 24 + 22) | (hour_of_week >= 6 * 24 + 22)]


def bars_at(index: pd.DatetimeIndex, close: np.ndarray | None = None) -> pd.DataFrame:
    close = np.full(len(index), 10.0) if close is None else close
    columns = dict.fromkeys(("open", "high", "low", "close"), close)
    return pd.DataFrame(columns | {"volume": np.ones(len(index))}, index=index.rename("time"))


def report_of(bars: pd.DataFrame) -> dict[str, Any]:
    return examine(bars, Findings.of(bars, "1d", "XNYS"))


def test_a_year_of_new_york_sessions_has_no_gap() -> None:
    """Lesson Q23: holidays and weekends are not gaps."""
    days = sessions_of_new_york()
    assert len(days) == 252
    assert infer_calendar(days) == "XNYS"
    assert report_of(bars_at(days))["gaps"] == 0


def test_missing_sessions_are_counted_and_placed() -> None:
    days = sessions_of_new_york()
    report = report_of(bars_at(days.delete([50, 51, 120])))
    assert (report["gaps"], report["missing"], report["longest_gap_bars"]) == (2, 3, 2)
    assert report["listed"]["gaps"][0] == {
        "after": days[49].isoformat(),
        "before": days[52].isoformat(),
        "bars": 2,
    }


def test_the_fx_weekend_is_not_a_gap() -> None:
    """Lesson Q23."""
    hours = fx_hours("2010-01-10", "2010-02-26")
    assert infer_calendar(hours) == "fx"
    assert missing_between(hours, "1h", "fx").sum() == 0
    assert missing_between(hours.delete(range(30, 35)), "1h", "fx").tolist().count(5) == 1


def test_saturday_bars_mean_a_market_that_never_closes() -> None:
    hours = pd.date_range("2020-01-01", periods=24 * 30, freq="1h", tz="UTC")
    assert infer_calendar(hours) == "24/7"
    assert missing_between(hours.delete([5]), "1h", "24/7").sum() == 1


def test_missing_weeks_are_counted() -> None:
    weeks = pd.date_range("2010-01-04", periods=30, freq="7D", tz="UTC")
    assert missing_between(weeks, "1w", "weekdays").sum() == 0
    assert missing_between(weeks.delete([10, 11]), "1w", "weekdays").max() == 2


def test_an_early_close_is_not_a_gap() -> None:
    table = Sessions.covering("XNYS", *WIDE)
    hours = [
        time
        for opens, closes in zip(table.opens, table.closes, strict=True)
        for time in pd.date_range(pd.Timestamp(opens), pd.Timestamp(closes - 1), freq="1h")
    ]
    index = pd.DatetimeIndex(hours).tz_localize("UTC")
    assert (table.closes - table.opens).min() < (table.closes - table.opens).max()
    assert missing_between(index, "1h", "XNYS").sum() == 0


def test_spikes_and_splits_are_reported_with_their_times(import_file: Import) -> None:
    rng = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.005, 300)))
    close[100] *= 1.25
    close[200:] /= 2.0
    days = sessions_of_new_york().tz_localize(None)
    days = days.append(pd.bdate_range("2011-01-03", periods=48))
    imported = import_file(yahoo(days, close))
    assert imported.result["quality"]["spikes"] == 2
    assert imported.result["quality"]["suspected_splits"] == 1
    assert imported.quality["listed"]["suspected_splits"][0]["time"].startswith(f"{days[200]:%Y-%m-%d}")
    assert [spike["time"][:10] for spike in imported.quality["listed"]["spikes"]] == [
        f"{days[100]:%Y-%m-%d}",
        f"{days[101]:%Y-%m-%d}",
    ]
    assert imported.bars["close"].iloc[100] == float(f"{close[100]:.4f}")


def test_the_calendar_is_in_the_result_and_in_the_file(import_file: Import) -> None:
    days = sessions_of_new_york().tz_localize(None)
    imported = import_file(yahoo(days, np.linspace(10, 20, len(days))))
    assert imported.result["calendar"] == "XNYS"
    assert imported.bars.attrs["calendar"] == "XNYS"
    assert "listed" not in imported.result["quality"]


def test_plain_weekdays_are_not_an_exchange() -> None:
    assert infer_calendar(pd.bdate_range("2010-01-04", periods=600, tz="UTC")) == "weekdays"


def test_trading_hours_distinguish_london_from_new_york() -> None:
    """Twenty days without a holiday: only the hours differ."""
    for calendar in ("XLON", "XNYS"):
        table = Sessions.covering(calendar, *WIDE)
        selected = (table.days >= pd.Timestamp("2010-01-19").value) & (
            table.days < pd.Timestamp("2010-02-13").value
        )
        hours = [
            time
            for opens, closes in zip(table.opens[selected], table.closes[selected], strict=True)
            for time in pd.date_range(pd.Timestamp(opens), pd.Timestamp(closes - 1), freq="1h")
        ]
        assert infer_calendar(pd.DatetimeIndex(hours).tz_localize("UTC")) == calendar
