"""Decide the time zone of local times and whether bars are stamped at their open or close, by the sessions of calendars.

A reading is a zone, a stamp and a calendar. Each implies sessions, and every bar outside of them and every session
without bars contradicts the reading. A reading is chosen if it has few contradictions and any other one clearly more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from workers.market_data.calendars import rank_calendars
from workers.market_data.exchanges import exchange_names, find_exchange
from workers.market_data.reader.layouts import NEW_YORK_CLOSE, Stamped
from workers.market_data.reader.zones import approximate_utc
from workers.market_data.session_fit import Fit, Points, fit
from workers.market_data.sessions import ALWAYS_OPEN, FOREX, WEEKDAYS

FOREX_ZONES = (
    NEW_YORK_CLOSE,
    "Europe/Athens",
    "America/New_York",
    "Etc/GMT+5",
    "Europe/London",
    "Europe/Berlin",
)
"""Zones in which brokers and platforms write currencies."""
CLEARLY = 3
"""Contradictions by which one reading must be better than another."""
_FEWEST_SESSIONS = 4
_FEWEST_POINTS = 20


@dataclass(frozen=True, slots=True)
class Reading:
    zone: str
    stamped: Stamped
    fit: Fit

    @property
    def contradictions(self) -> int:
        return self.fit.contradictions

    def describe(self) -> str:
        return f"{self.zone}, stamped at the {self.stamped}: {self.fit.describe()}"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best readings that imply different instants, the best first."""

    readings: tuple[Reading, ...]

    @property
    def best(self) -> Reading | None:
        return self.readings[0] if self.readings else None

    def rivals(self) -> list[Reading]:
        """Return the other readings that the times do not rule out."""
        best = self.best
        if best is None:
            return []
        return [other for other in self.readings[1:] if not is_clearly_better(best.fit, other.fit)]

    @property
    def is_decided(self) -> bool:
        """Whether the times show one reading; a market that never closes shows no zone."""
        best = self.best
        return (
            best is not None
            and is_evident(best.fit)
            and best.fit.calendar != ALWAYS_OPEN
            and not self.rivals()
        )

    def of_zone(self, zone: str) -> Reading | None:
        return next((reading for reading in self.readings if reading.zone == zone), None)


def is_clearly_better(best: Fit, other: Fit) -> bool:
    return (
        other.contradictions >= best.contradictions + CLEARLY
        and other.contradictions >= 1.5 * best.contradictions
    )


def is_evident(found: Fit) -> bool:
    """Whether the times fit a calendar over enough sessions to show anything."""
    return found.is_good and found.sessions >= _FEWEST_SESSIONS


def rank_readings(by_stamp: Mapping[Stamped, Points], zones: tuple[str, ...] = ()) -> Ranking:
    """Compare the zones of all exchanges with their own calendars, UTC with every calendar, and the zones of brokers with
    that of currencies; with `zones`, compare only these with every calendar.

    `by_stamp`: the local opens of the bars for each stamp that is compared. Closes are made opens before bars are left
    out, because the edges of hours that are kept are others.
    """
    readings: dict[bytes, Reading] = {}
    for stamped, local in by_stamp.items():
        if len(local.opens) < _FEWEST_POINTS:
            continue
        for zone, calendars in _pairs(zones):
            opens = approximate_utc(local.opens, zone)
            points = local.at(opens)
            best = _best_fit(points, calendars)
            if best is None:
                continue
            key = opens.tobytes()
            earlier = readings.get(key)
            if earlier is None or best.contradictions < earlier.contradictions:
                readings[key] = Reading(zone, stamped, best)
    ranked = sorted(
        readings.values(), key=lambda reading: (reading.contradictions, reading.stamped == "close")
    )
    return Ranking(tuple(ranked))


def _pairs(zones: tuple[str, ...]) -> list[tuple[str, tuple[str, ...] | None]]:
    """Return pairs of a zone and its calendars; None for all calendars."""
    if zones:
        return [(zone, None) for zone in zones]
    servers = [(zone, (FOREX,)) for zone in FOREX_ZONES]
    return [("UTC", None), *_zones_of_exchanges(), *servers, (NEW_YORK_CLOSE, ("XNYS",))]


@cache
def _zones_of_exchanges() -> list[tuple[str, tuple[str, ...]]]:
    by_zone: dict[str, list[str]] = {}
    for name in exchange_names():
        if (exchange := find_exchange(name)) is not None:
            by_zone.setdefault(exchange.timezone, []).append(name)
    return [(zone, tuple(names)) for zone, names in by_zone.items()]


def _best_fit(points: Points, calendars: tuple[str, ...] | None) -> Fit | None:
    if not (np.diff(points.opens) >= 0).all():
        return None
    if calendars is None:
        # No market trades on weekdays from midnight to midnight UTC, but files in the time of brokers look like that.
        return next((found for found in rank_calendars(points) if found.calendar != WEEKDAYS), None)
    fits = [found for name in calendars if (found := fit(points, name)) is not None]
    return min(fits, key=lambda found: found.contradictions, default=None)
