"""Compare both stamps of intraday times, where neither an option nor the layout decides: the open or the close of a bar."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pandas as pd

from workers.market_data.calendars import choose_calendar
from workers.market_data.exchanges import exchange_names, find_exchange
from workers.market_data.reader.choice import Choice
from workers.market_data.reader.readings import Reading, is_clearly_better, is_evident
from workers.market_data.reader.zones import find_zone
from workers.market_data.session_fit import Fit, Points, fit
from workers.market_data.sessions import FOREX

_PRECISE = 0.05
"""Contradictions per session up to which a reading is proposed against the chosen one."""
_UTC = ("UTC", "Etc/UTC", "GMT", "Etc/GMT")


@dataclass(frozen=True, slots=True)
class StampEvidence:
    """The stamp that was taken, and what the times show about it."""

    choice: Choice
    closing: Reading | None = None
    """The reading as closes, if the times show it."""
    note: str = ""
    """The assumption, if the times show neither."""


def is_precise(found: Fit) -> bool:
    return is_evident(found) and found.contradictions <= max(1.0, _PRECISE * found.sessions)


def examine_stamp(
    points: Points,
    earlier: Points,
    opening: Fit | None,
    zone: str,
    *,
    is_zone_known: bool,
    rival: Reading | None,
) -> StampEvidence:
    """Read the times as opens, unless the sessions of a calendar show that they are closes.

    `points` are the bars with the times as opens, `opening` is their fit, and `earlier` has the bars one bar earlier.
    `rival` is the best reading as closes in another zone, where the zone is not known.
    """
    if opening is None or not len(points.opens):
        return StampEvidence(Choice("open", "the default"))
    found = choose_calendar(earlier).fit
    if is_zone_known and (own := _closing_of_zone(points, earlier, zone)) is not None:
        found, is_shown = own, True
    else:
        is_shown = found is not None and _is_shown(opening, found)
    closing = None if found is None else Reading(zone, "close", found)
    if closing is not None and is_shown:
        choice = Choice("open", "the default, but the times seem to be closes", closing.fit.describe())
        return StampEvidence(choice, closing)
    readings = [reading for reading in (closing, rival) if reading is not None]
    best = min(readings, key=lambda reading: reading.contradictions, default=None)
    if best is None or (is_evident(opening) and is_clearly_better(opening, best.fit)):
        return StampEvidence(
            Choice(
                "open", f"fits {opening.describe()}", "" if best is None else f"close, {best.fit.describe()}"
            )
        )
    runner_up = f"close, {best.fit.describe()}" if best.zone == zone else best.describe()
    as_close = best.fit.calendar if best.zone == zone else f"{best.fit.calendar} in {best.zone}"
    note = (
        "assumed that the times are the opens of the bars: "
        f"as closes they fit {as_close} as well, so set stamped=close if they are"
    )
    return StampEvidence(Choice("open", "assumed, because the times do not show it", runner_up), note=note)


def _is_shown(opening: Fit, closing: Fit) -> bool:
    """Whether the fits show that times are closes. Currencies stamped at their close fill the sessions of futures."""
    if not is_precise(closing):
        return False
    if opening.calendar != FOREX and closing.calendar == FOREX:
        return closing.contradictions <= opening.contradictions
    return is_clearly_better(closing, opening)


def _closing_of_zone(points: Points, earlier: Points, zone: str) -> Fit | None:
    """Return the fit of closes to an exchange of the zone, if the bars fit it precisely and no exchange of the zone
    comes near as opens. A file in the time of an exchange has bars of that exchange, even if opens fit another one."""
    names = _exchanges_of(zone, points)
    as_close = _best_fit(earlier, names)
    as_open = _best_fit(points, names)
    if as_close is None or not is_precise(as_close):
        return None
    return as_close if as_open is None or is_clearly_better(as_close, as_open) else None


def _best_fit(points: Points, names: list[str]) -> Fit | None:
    fits = [found for name in names if (found := fit(points, name)) is not None]
    return min(fits, key=lambda found: found.contradictions, default=None)


def _exchanges_of(zone: str, points: Points) -> list[str]:
    """Return the exchanges whose clocks show the same time as the zone, from the first bar to the last; none for UTC."""
    known = find_zone(zone)
    if known.base in _UTC or known.shift:
        return []
    moments = [pd.Timestamp(int(points.opens[place]), tz="UTC") for place in (0, len(points.opens) // 2, -1)]

    def offsets(name: str) -> list[object]:
        return [moment.tz_convert(ZoneInfo(name)).utcoffset() for moment in moments]

    expected = offsets(known.base)
    exchanges = [exchange for name in exchange_names() if (exchange := find_exchange(name)) is not None]
    same = {name for name in {exchange.timezone for exchange in exchanges} if offsets(name) == expected}
    return [exchange.name for exchange in exchanges if exchange.timezone in same]
