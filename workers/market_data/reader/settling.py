"""Turn the times of a file into the opening times of its bars: zone, stamp and calendar, each with the reason."""

from dataclasses import dataclass, field

import numpy as np

from workers.market_data.calendars import CalendarChoice, choose_calendar
from workers.market_data.checks import check_order
from workers.market_data.errors import MarketDataError
from workers.market_data.parameters import ImportParameters
from workers.market_data.reader.choice import Choice
from workers.market_data.reader.layouts import Layout, Stamped
from workers.market_data.reader.readings import (
    CLEARLY,
    Ranking,
    Reading,
    is_clearly_better,
    is_evident,
    rank_readings,
)
from workers.market_data.reader.stamps import StampEvidence, examine_stamp, is_precise
from workers.market_data.reader.times import Times, as_index
from workers.market_data.reader.zones import to_utc
from workers.market_data.row_errors import Lines
from workers.market_data.session_fit import Flags, Points, points_of
from workers.market_data.sessions import (
    GENERIC_CALENDARS,
    NANOSECONDS_A_DAY,
    Sessions,
    UnixNanoseconds,
    midnights,
)
from workers.market_data.timeframes import nanoseconds

_NAMED = 3
_FEWEST_CLOSES = 10
_NEARLY_ALL = 0.9
"""Share of daily bars at the close of a session that shows their stamp; some sources ignore short sessions."""


@dataclass(slots=True, eq=False)
class Settled:
    """Opening times of the bars in UTC, int64[n] nanoseconds, and how they were found."""

    opens: UnixNanoseconds
    timezone: Choice
    stamped: Choice
    calendar: CalendarChoice
    ranking: Ranking
    """Readings of local times; empty if the file has instants or dates."""
    better: Reading | None = None
    """A reading that fits clearly better than the chosen one."""
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Everything that decides how times are read."""

    times: Times
    moving: Flags
    """Rows that are evidence of trading: not the unmoved bars of a closed market."""
    layout: Layout
    parameters: ImportParameters
    title_zone: str | None
    """The zone that the title of the column names."""
    is_close_time: bool
    lines: Lines

    @property
    def length(self) -> int:
        return nanoseconds(self.parameters.timeframe)

    def known_zone(self) -> Choice | None:
        """Return the zone that is chosen, written in the file, or documented by its source."""
        if self.parameters.timezone:
            return Choice(self.parameters.timezone, "chosen")
        if self.times.zone:
            return Choice(self.times.zone, "written behind each time")
        if self.title_zone:
            return Choice(self.title_zone, "named by the title of the column")
        if self.layout.timezone:
            return Choice(self.layout.timezone, f"the layout {self.layout.name} has this zone")
        return None

    def known_stamp(self) -> tuple[Stamped, str] | None:
        if self.parameters.stamped:
            return self.parameters.stamped, "chosen"
        if self.layout.stamped:
            return self.layout.stamped, f"the layout {self.layout.name} has this stamp"
        return ("close", "the only times are those of the close") if self.is_close_time else None


def settle(question: Question) -> Settled:
    """Raises `MarketDataError` if several readings are likely and no option decides."""
    times = question.times
    if times.are_instants and not question.layout.has_server_epochs:
        return _finish(
            question, times.values, Choice("UTC", f"the file has instants ({times.form})"), Ranking(())
        )
    if question.length >= NANOSECONDS_A_DAY:
        return _settle_days(question)
    known = question.known_zone()
    ranking = rank_readings(_local_points(question))
    if known is not None:
        return _finish(question, to_utc(times.values, known.value, question.lines), known, ranking)
    zone, warnings = _choose_zone(question, ranking)
    settled = _finish(question, to_utc(times.values, zone.value, question.lines), zone, ranking)
    settled.warnings[:0] = warnings
    return settled


def _local_points(question: Question) -> dict[Stamped, Points]:
    """Return the local opens of the bars for each stamp that is possible."""
    times, stamp = question.times.values[question.moving], question.known_stamp()
    stamps: tuple[Stamped, ...] = (stamp[0],) if stamp else ("open", "close")
    return {
        stamped: points_of(times - question.length if stamped == "close" else times, question.length)
        for stamped in stamps
    }


def _settle_days(question: Question) -> Settled:
    """Give daily and longer bars midnight UTC of their date, whatever the zone: a clock time that all have is that of the
    session's open or close."""
    values = question.times.values
    clocks = values % NANOSECONDS_A_DAY
    dates = values - clocks
    if (clocks == clocks[0]).all() or len(np.unique(dates)) == len(dates):
        return _finish(
            question,
            dates,
            Choice("dates", "bars of a day or longer have the date of their session"),
            Ranking(()),
        )
    known = question.known_zone() or Choice("UTC", "the default")
    return _finish(question, to_utc(values, known.value, question.lines), known, Ranking(()))


def _choose_zone(question: Question, ranking: Ranking) -> tuple[Choice, list[str]]:
    """Choose the zone of local times that have none. Returns warnings about it.

    Raises `MarketDataError` if the source writes no UTC, or other zones fit better, but none of them is certain.
    """
    best = ranking.best
    opening = Ranking(tuple(reading for reading in ranking.readings if reading.stamped == "open"))
    first = opening.best or best
    if best is not None and first is not None and _is_clearly_closing(best, first):
        raise MarketDataError(
            _propose("the times have no offset, and the bars seem stamped at their close", [best])
        )
    decided = opening if opening.readings else ranking
    if first is not None and decided.is_decided:
        return _evident_choice(question, first, decided)
    if question.layout.usual_zones:
        zones = ", ".join((*question.layout.usual_zones, "UTC"))
        raise MarketDataError(
            f"the layout {question.layout.name} has times without an offset that are usually not UTC, and these bars do not "
            f"show which zone: set timezone, for example to one of {zones}"
        )
    if first is not None and is_evident(first.fit):
        rivals = [first, *decided.rivals()]
        is_utc = any(rival.zone == "UTC" and rival.contradictions == first.contradictions for rival in rivals)
        if not is_utc:
            raise MarketDataError(_propose("the times have no offset, and several zones fit", rivals))
    reason = "the default: the times have no offset and do not show a zone"
    others = [reading for reading in decided.readings[:_NAMED] if reading.zone != "UTC"]
    warning = "the times have no offset and were read as UTC; nothing in them shows the zone, so set timezone if they are not UTC"
    return Choice("UTC", reason, others[0].describe() if others else ""), [warning]


def _is_clearly_closing(best: Reading, first: Reading) -> bool:
    differs = best.stamped == "close" and first.stamped == "open"
    return differs and is_evident(best.fit) and is_clearly_better(best.fit, first.fit)


def _evident_choice(question: Question, best: Reading, ranking: Ranking) -> tuple[Choice, list[str]]:
    others = [reading for reading in ranking.readings[1:] if reading.zone != best.zone]
    choice = Choice(best.zone, f"fits {best.fit.describe()}", others[0].describe() if others else "")
    if best.zone == "UTC":
        return choice, []
    utc = ranking.of_zone("UTC")
    against = f"; as UTC they would not ({utc.fit.describe()})" if utc else ""
    return choice, [
        f"the times have no offset and were read as {best.zone}, in which they fit {best.fit.calendar}{against}"
    ]


def _propose(problem: str, readings: list[Reading]) -> str:
    options = []
    for reading in readings[:_NAMED]:
        stamped = " with stamped=close" if reading.stamped == "close" else ""
        options.append(f"{reading.zone}{stamped} ({reading.fit.calendar})")
    return f"{problem}: set timezone to {' or '.join(options)}"


def _finish(question: Question, instants: UnixNanoseconds, zone: Choice, ranking: Ranking) -> Settled:
    """Apply the stamp, choose the calendar, and look for a reading that fits clearly better."""
    known = question.known_stamp() or _show_daily_closes(question, instants)
    stamp, reason = known or ("open", "the default")
    opens = _opens_of_closes(question, instants) if stamp == "close" else instants
    check_order(as_index(opens), question.lines)
    points = points_of(opens[question.moving], question.length)
    settled = Settled(opens, zone, Choice(stamp, reason), choose_calendar(points), ranking)
    if question.length < NANOSECONDS_A_DAY:
        evidence = None if known else _examine_stamp(question, settled, points)
        if evidence is not None:
            settled.stamped = evidence.choice
            settled.notes += [evidence.note] if evidence.note else []
        settled.better = _find_better(settled, evidence)
        settled.warnings += [] if settled.better is None else [_describe_better(settled.better, settled)]
    return settled


def _examine_stamp(question: Question, settled: Settled, points: Points) -> StampEvidence:
    is_instant = question.times.are_instants and not question.layout.has_server_epochs
    known = question.known_zone() is not None
    closing = [reading for reading in settled.ranking.readings if reading.stamped == "close"]
    rival = closing[0] if closing and not known and not is_instant else None
    earlier = points_of(settled.opens[question.moving] - question.length, question.length)
    return examine_stamp(
        points,
        earlier,
        settled.calendar.fit,
        settled.timezone.value,
        is_zone_known=known and not is_instant,
        rival=rival,
    )


def _opens_of_closes(question: Question, closes: UnixNanoseconds) -> UnixNanoseconds:
    """Return the times of bars that are stamped at their close; a daily bar gets the date of its session.

    24 hours before the close of a short session, the session before it may still be open. No session closes on a later
    day than its own by UTC, except at midnight.
    """
    if question.length < NANOSECONDS_A_DAY:
        return closes - question.length
    if not question.times.are_instants:
        return closes  # Dates.
    return midnights(closes - 1) if question.length == NANOSECONDS_A_DAY else closes - question.length


def _show_daily_closes(question: Question, instants: UnixNanoseconds) -> tuple[Stamped, str] | None:
    """Return the stamp of daily bars whose instants are those at which the sessions of an exchange close."""
    if question.length != NANOSECONDS_A_DAY or not question.times.are_instants:
        return None
    moving = instants[question.moving]
    if len(moving) < _FEWEST_CLOSES or (moving % NANOSECONDS_A_DAY == 0).all():
        return None
    calendar = choose_calendar(points_of(midnights(moving - 1), question.length)).calendar
    if calendar in GENERIC_CALENDARS:
        return None
    closes = Sessions.covering(calendar, int(moving.min()), int(moving.max())).closes
    if np.isin(moving, closes).mean() < _NEARLY_ALL:
        return None
    return "close", f"the sessions of {calendar} close at these times"


def _find_better(settled: Settled, evidence: StampEvidence | None) -> Reading | None:
    """Return the reading that explains the bars clearly better than the chosen one; the same zone is preferred."""
    if evidence is not None and evidence.closing is not None:
        return evidence.closing
    current, best = settled.calendar.fit, settled.ranking.best
    if current is None or best is None or current.contradictions < CLEARLY:
        return None
    return best if is_precise(best.fit) and is_clearly_better(best.fit, current) else None


def _describe_better(better: Reading, settled: Settled) -> str:
    calendar = better.fit.calendar
    if better.zone == settled.timezone.value:
        return (
            f"as opens the times do not fit {calendar}, but one bar earlier they do: the bars seem stamped at their close, so "
            "import the file again with stamped=close"
        )
    stamped = " and stamped=close" if better.stamped == "close" else ""
    return (
        f"read as {settled.timezone.value} the bars do not fit the hours of a market; as {better.zone} they fit {calendar}, so "
        f"import the file again with timezone={better.zone}{stamped}"
    )
