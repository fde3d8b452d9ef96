"""The due times of schedules: cron expressions, time zones and changes of the clocks."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from operations.schedules.times import due_times, next_times, validate_cron
from tests.operations.user_schedules import BODY, echo, problems

__all__ = ["echo"]
pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
SUMMER_TIME = {
    "UTC": [],
    "Europe/Berlin": [date(2026, 3, 29), date(2026, 10, 25)],
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
}


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    zone=st.sampled_from(sorted(SUMMER_TIME)),
    change=st.integers(0, 1),
    before=st.integers(0, 3 * 1440),
)
def test_a_daily_time_is_due_once_a_day_also_when_the_clocks_change(
    minute: int, hour: int, zone: str, change: int, before: int
) -> None:
    days = SUMMER_TIME[zone] or [date(2026, 3, 29), date(2026, 10, 25)]
    middle = datetime.combine(days[change], datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    after = middle - timedelta(minutes=before)
    times = next_times(f"{minute} {hour} * * *", zone, after, 6)
    assert times == sorted(times)
    assert times[0] > after
    local = [time.astimezone(ZoneInfo(zone)) for time in times]
    assert len({time.date() for time in local}) == 6
    assert (local[-1].date() - local[0].date()).days == 5
    shifted = [time for time in local if (time.hour, time.minute) != (hour, minute)]
    assert all(time.date() in SUMMER_TIME[zone] for time in shifted)


def test_an_hourly_schedule_has_no_gap_when_the_clocks_change() -> None:
    for day in SUMMER_TIME["Europe/Berlin"]:
        after = datetime.combine(day, datetime.min.time(), UTC)
        times = next_times("15 * * * *", "Europe/Berlin", after, 24)
        gaps = {later - earlier for earlier, later in pairwise(times)}
        assert gaps == {timedelta(hours=1)}


@pytest.mark.parametrize(
    "cron",
    ["* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "@daily", "R 3 * * *", "0 H * * *", "", "x" * 300],
)
def test_an_expression_without_five_fields_or_without_a_time_is_refused(api: APIClient, cron: str) -> None:
    assert problems(api.post("/schedules", {**BODY, "cron": cron})) == ["/cron"]


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "*/5  9-17 * * mon-fri", "0 6 1,15 mar,apr fri"])
def test_an_expression_with_a_time_is_accepted(cron: str) -> None:
    assert next(due_times(validate_cron(cron), "UTC", datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize("day", ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])
@pytest.mark.parametrize("year", [2026, 2027, 2033, 2061, 2097])
def test_the_rarest_time_comes_again_whenever_one_looks(day: str, year: int) -> None:
    """29 February as a fifth weekday: every 28 years, and after 40 around 2100, which has none."""
    expression = validate_cron(f"0 0 29 2 {day}#5")
    (following,) = next_times(expression, "UTC", datetime(year, 3, 1, tzinfo=UTC), 1)
    assert (following.month, following.day, f"{following:%a}".lower()) == (2, 29, day)
