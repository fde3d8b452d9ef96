"""The forms in which files write dates and times, as regular expressions with named groups."""

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_OTHER_MONTHS = {"mär": 3, "mai": 5, "okt": 10, "dez": 12, "mrz": 3}
_CLOCK = r"(?:[T ,;\-]*(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?"
_COMPACT_CLOCK = (
    r"(?:[T \-]*(?P<hour>\d{2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?)?"
)
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|(?:UTC|GMT)?\s*[+-]\d{1,2}:?(?:\d{2})?|[A-Z][A-Za-z]+/[A-Za-z_/+-]+\d{0,2})?"


class Kind(StrEnum):
    """The meaning of the values of a column."""

    EPOCH = "epoch"
    MOMENT = "moment"
    DATE = "date"
    CLOCK = "clock"
    SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write dates, with or without a clock time."""

    name: str
    pattern: str
    is_month_named: bool = False

    def matches(self, text: str) -> re.Match[str] | None:
        return re.fullmatch(self.pattern, text)


FORMS = (
    Form("YYYY-MM-DD", rf"(?P<year>\d{{4}})[-./](?P<month>\d{{1,2}})[-./](?P<day>\d{{1,2}}){_CLOCK}{_ZONE}"),
    Form("YYYYMMDD", rf"(?P<year>(?:1[6-9]|2[0-2])\d{{2}})(?P<month>\d{{2}})(?P<day>\d{{2}}){_COMPACT_CLOCK}{_ZONE}"),
    Form("DD.MM.YYYY", rf"(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}}|\d{{2}}){_CLOCK}{_ZONE}"),
    Form("?/?/YYYY", rf"(?P<first>\d{{1,2}})[/-](?P<next>\d{{1,2}})[/-](?P<year>\d{{4}}|\d{{2}}){_CLOCK}{_ZONE}"),
    Form("DD Mon YYYY", rf"(?:[A-Za-z]{{3,9}},? )?(?P<day>\d{{1,2}})[ \-./]+(?P<name>[A-Za-zä]{{3,9}})\.?[ \-./,]+(?P<year>\d{{4}}|\d{{2}}){_CLOCK}{_ZONE}", True),
    Form("Mon DD, YYYY", rf"(?:[A-Za-z]{{3,9}},? )?(?P<name>[A-Za-zä]{{3,9}})\.? +(?P<day>\d{{1,2}}),? +(?P<year>\d{{4}}){_CLOCK}{_ZONE}", True),
)  # fmt: skip
ISO = FORMS[0]

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE]\+?\d+)?")
_CLOCK_TEXT = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?")
_CLOCK_DIGITS = re.compile(r"(?:[01]?\d|2[0-3])[0-5]\d(?:[0-5]\d)?(?:\.0*)?|0")
_SMALL_EPOCH = 1e6
_EXCEL_DAYS = (10_000, 100_000)
"""1927 to 2173 as days since 1899-12-30."""


def form_of(text: str) -> Form | None:
    return next((form for form in FORMS if form.matches(text)), None)


def kind_of(texts: list[str]) -> Kind | None:
    """Return what the texts are, or None if they are neither dates nor times."""
    filled = [text for text in texts if text]
    if not filled:
        return None
    if all(map(_NUMBER.fullmatch, filled)):
        return _kind_of_numbers(filled)
    if all(map(_CLOCK_TEXT.fullmatch, filled)):
        return Kind.CLOCK
    form = form_of(filled[0])
    if form is None:
        return None
    matches = [match for text in filled if (match := form.matches(text))]
    if len(matches) < len(filled) * 0.5:
        return None
    return Kind.MOMENT if any(match.group("hour") for match in matches) else Kind.DATE


def _kind_of_numbers(texts: list[str]) -> Kind | None:
    digits = [text.partition(".")[0] for text in texts]
    matches = [FORMS[1].matches(text) for text in digits]
    if all(match is not None and _is_date(match) for match in matches):
        return Kind.MOMENT if any(match and match.group("hour") for match in matches) else Kind.DATE
    values = [float(text) for text in texts]
    if all(_EXCEL_DAYS[0] < value < _EXCEL_DAYS[1] for value in values) and len(set(digits)) >= 1:
        return Kind.SERIAL if not all(map(_CLOCK_DIGITS.fullmatch, texts)) or len(values) == 1 else Kind.CLOCK
    if all(map(_CLOCK_DIGITS.fullmatch, texts)):
        return Kind.CLOCK
    return Kind.EPOCH if min(map(abs, values)) >= _SMALL_EPOCH or _are_whole_minutes(values) else None


def _are_whole_minutes(values: list[float]) -> bool:
    """Whether numbers near zero are seconds around 1970: each a whole number of minutes after the one before."""
    steps = [second - first for first, second in pairwise(values)]
    return bool(steps) and all(step != 0 and step % 60 == 0 for step in steps)


def _is_date(match: re.Match[str]) -> bool:
    hour, minute = int(match.group("hour") or 0), int(match.group("minute") or 0)
    return (
        1 <= int(match.group("month")) <= 12
        and 1 <= int(match.group("day")) <= 31
        and hour < 24
        and minute < 60
    )


def month_number(name: str) -> int:
    """Return the month of an English or German name, 0 if unknown."""
    short = name.lower()[:3]
    return _MONTHS.index(short) + 1 if short in _MONTHS else _OTHER_MONTHS.get(short, 0)
