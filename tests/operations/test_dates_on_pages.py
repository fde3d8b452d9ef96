"""Every page writes a date as 2026-05-04 and a time as 2026-05-04 17:30.

`tests/browser/test_every_page.py` looks for other formats on all pages.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.template import Context, Template

from operations.presentation.numbers import day, minute, stored_time

REPOSITORY = Path(__file__).parents[2]
TEMPLATES = sorted(
    path
    for folder in ("templates", "operations", "dashboard", "studies", "ktrdr_site")
    for path in (REPOSITORY / folder).rglob("*.html")
)
MONTH = "Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec"
OTHER_DATES = re.compile(
    rf"\b(?:{MONTH})[a-z]*\.? \d{{1,2}}, \d{{4}}|\d{{1,2}} (?:{MONTH})[a-z]* \d{{4}}|\d{{1,2}}/\d{{1,2}}/\d{{2,4}}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d|\d (?:a|p)\.m\."
)
NOT_TEXT = re.compile(r"<script.*?</script>|<textarea.*?</textarea>|<pre.*?</pre>|<[^>]*>", re.DOTALL)


def other_dates(page: str) -> list[str]:
    return OTHER_DATES.findall(NOT_TEXT.sub(" ", page))


@pytest.mark.parametrize(
    "text",
    ["May 4, 2026", "Nov. 29, 2026, 8 p.m.", "4 May 2026", "05/04/2026", "<b>2026-05-04T17:30:00+00:00</b>"],
)
def test_other_formats_are_recognized(text: str) -> None:
    assert other_dates(text)


@pytest.mark.parametrize(
    "text", ["2026-05-04 17:30", '<time datetime="2026-05-04T17:30:00Z">4 h</time>', "May"]
)
def test_the_format_of_the_pages_is_none_of_them(text: str) -> None:
    assert not other_dates(text)


def test_no_template_has_a_format_of_its_own() -> None:
    assert len(TEMPLATES) > 100
    own = re.compile(r"\|(?:date|time)\b|{% now")
    assert [path.name for path in TEMPLATES if own.search(path.read_text())] == []


def test_a_date_without_a_filter_has_the_same_format() -> None:
    values = Context({"day": date(2026, 5, 4), "time": datetime(2026, 5, 4, 17, 30, 5, tzinfo=UTC)})
    assert Template("{{ day }} {{ time }}").render(values) == "2026-05-04 2026-05-04 17:30:05"


def test_the_filters_write_utc() -> None:
    late = datetime(2026, 5, 4, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert (day(late), minute(late)) == ("2026-05-05", "2026-05-05 04:30")
    assert day(date(2026, 5, 4)) == "2026-05-04"
    assert day(None) == minute(None) == "–"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2026-05-04T17:30", "2026-05-04 17:30"),
        ("2026-05-04T17:30:00+00:00", "2026-05-04 17:30"),
        ("2026-05-04T00:00:00Z", "2026-05-04"),
        ("Monday", "Monday"),
        (7, 7),
        (None, None),
    ],
)
def test_a_stored_time_has_the_same_format(stored: object, shown: object) -> None:
    assert stored_time(stored) == shown
