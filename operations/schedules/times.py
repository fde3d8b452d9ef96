"""The due times of a cron expression in a time zone.

A schedule at fixed hours follows local time. In the hour that repeats when summer time ends it is due once; a time that
does not exist when summer time begins is due as much later as the clocks were put forward. A schedule whose minute or hour
starts with `*` follows elapsed time, so no hour has a gap.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter
from pydantic import AfterValidator, Field

from worker_agent.validation_messages import quote

SHOWN = 5
RANGES = (
    "minutes are from 0 to 59, hours from 0 to 23, days from 1 to 31 and in their month, months from 1 to 12, and days of "
    "the week from 0 to 7"
)
MAX_YEARS = 41
"""29 February as the fifth Tuesday of its month comes every 28 years, and around 2100 after 40."""
_FIELDS = re.compile(r"[0-9A-Za-z*/,#-]+( [0-9A-Za-z*/,#-]+){4}")
_RANDOM = re.compile(r"(^| )[rh]($|[^a-z])", re.IGNORECASE)
"""croniter's extensions that choose a value by chance or hash."""


def validate_cron(text: str) -> str:
    """Return the expression with single spaces. Raises ValueError unless it has five fields and a due time."""
    expression = " ".join(text.split())
    if not _FIELDS.fullmatch(expression) or _RANDOM.search(expression):
        raise ValueError(
            f"{quote(text)} is not a cron expression with five fields: minute, hour, day of month, month, day of week"
        )
    try:
        next(due_times(expression, "UTC", datetime(2000, 1, 1, tzinfo=UTC)))
    except (ValueError, StopIteration) as error:
        raise ValueError(f"{quote(text)} has no due time: {RANGES}") from error
    return expression


@cache
def time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def validate_time_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError(f"{quote(name)} is not a time zone of the IANA list, such as Europe/Berlin")
    return name


Cron = Annotated[str, Field(max_length=200), AfterValidator(validate_cron)]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(validate_time_zone)]


def next_time(cron: str, time_zone: str, after: datetime) -> datetime:
    """Return the first due time after a moment, in UTC. Both have a time zone."""
    return next(due_times(cron, time_zone, after))


def next_times(cron: str, time_zone: str, after: datetime, count: int = SHOWN) -> list[datetime]:
    """Return the next due times, in UTC."""
    return list(islice(due_times(cron, time_zone, after), count))


def due_times(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the due times after a moment, in UTC, in ascending order and without end."""
    zone = ZoneInfo(time_zone)
    local = after.astimezone(zone)
    if any(field.startswith("*") for field in cron.split()[:2]):
        for time in _matches(cron, local):
            yield time.astimezone(UTC)
        return
    last = after
    for wall in _matches(cron, local.replace(tzinfo=None)):
        # PEP 495: of a repeated time the first, and of one that does not exist the one as much later.
        time = wall.replace(tzinfo=zone).astimezone(UTC)
        if time > last:
            yield time
            last = time


def _matches(cron: str, after: datetime) -> Iterator[datetime]:
    times: Iterator[datetime] = croniter(cron, after, max_years_between_matches=MAX_YEARS).all_next(datetime)
    return times
