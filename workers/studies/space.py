"""The search space of a study: `point(number)` computes the point of a trial by arithmetic; nothing is materialised."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, product
from math import prod
from typing import Any

from workers.studies.axis import Axis
from workers.studies.conditions import BadCondition, Condition, parse_condition
from workers.studies.grammar import Study
from workers.studies.search_section import MAX_TRIALS, Point
from workers.studies.sequences import halton, uniform

MAX_ATTEMPTS = 1_000
"""Draws of a point until `where` holds."""
_STRIDE = 1_000_003
"""Distance of the further draws of a Halton point: above the largest trial number, so that no draw repeats, and prime, so
that every coordinate changes."""
SAMPLE = 2_000
CORNER_SAMPLE = 512


@dataclass(frozen=True)
class Space:
    """The axes, in the order of the file, and the conditions that every point meets."""

    method: str
    seed: int
    axes: tuple[Axis, ...] = ()
    conditions: tuple[Condition, ...] = ()
    points: tuple[Point, ...] = field(default=(), repr=False)
    """Of `method: list`."""

    @property
    def pointers(self) -> tuple[str, ...]:
        return tuple(axis.pointer for axis in self.axes) if self.axes else tuple(self.points[0])

    @cached_property
    def size(self) -> int | None:
        """Number of points; None if an axis is continuous."""
        if self.points:
            return len(self.points)
        sizes = [axis.size for axis in self._free_axes]
        if any(size is None for size in sizes):
            return None
        return len(self._joined) * prod(size for size in sizes if size is not None)

    def point(self, number: int) -> Point:
        """Return the point of a trial. Raises BadCondition if no draw meets the conditions."""
        match self.method:
            case "list":
                return dict(self.points[number])
            case "grid":
                return self._grid_point(number)
            case "halton":
                return self._draw_point(
                    lambda attempt: [
                        halton(self.seed, 1 + number + attempt * _STRIDE, dimension)
                        for dimension in range(len(self.axes))
                    ]
                )
        return self._draw_point(
            lambda attempt: [uniform(self.seed, number, attempt, axis.pointer) for axis in self.axes]
        )

    def allows(self, point: Point) -> bool:
        """Return whether the point meets every condition. Raises BadCondition."""
        return all(condition.holds(point) for condition in self.conditions)

    def corners(self, limit: int) -> Iterator[Point]:
        """Return every allowed combination of extremes and choices; if there are more than `limit`, a fixed sample, in which
        every choice occurs unless the conditions exclude its combination."""
        if self.points:
            yield from islice(self.points, limit)
            return
        extremes = [axis.extremes for axis in self.axes]
        is_few = prod(map(len, extremes)) <= limit
        for values in product(*extremes) if is_few else self._corner_sample(extremes):
            point = dict(zip(self.pointers, values, strict=True))
            if self.allows(point):
                yield point

    def _corner_sample(self, extremes: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
        for number in range(max(CORNER_SAMPLE, *map(len, extremes))):
            yield tuple(
                values[number]
                if number < len(values)
                else values[int(uniform("corner", number, axis.pointer) * len(values))]
                for axis, values in zip(self.axes, extremes, strict=True)
            )

    def share_allowed(self) -> float:
        """Return the share of the points that meets the conditions: exact for a grid, else of 2,000 draws."""
        if not self.conditions or self.points:
            return 1.0
        if self.method == "grid":
            return len(self._joined) / prod(axis.size or 0 for axis in self._joined_axes)
        draws = (
            {axis.pointer: axis.value(uniform("share", number, axis.pointer)) for axis in self.axes}
            for number in range(SAMPLE)
        )
        return sum(map(self.allows, draws)) / SAMPLE

    def _draw_point(self, shares: Callable[[int], list[float]]) -> Point:
        for attempt in range(MAX_ATTEMPTS):
            point = {
                axis.pointer: axis.value(share)
                for axis, share in zip(self.axes, shares(attempt), strict=True)
            }
            if self.allows(point):
                return point
        raise BadCondition(
            f"where excludes {MAX_ATTEMPTS:,} points in a row; widen the ranges or relax where"
        )

    def _grid_point(self, number: int) -> Point:
        """The axes that conditions join are one axis of allowed combinations, which moves slowest."""
        number, point = _mixed_radix(self._free_axes, number)
        if number >= len(self._joined):
            raise IndexError("the grid has no such point")
        point |= self._combination(self._joined[number])
        return {pointer: point[pointer] for pointer in self.pointers}

    @cached_property
    def _joined_axes(self) -> tuple[Axis, ...]:
        return tuple(axis for axis in self.axes if axis not in self._free_axes)

    @cached_property
    def _free_axes(self) -> tuple[Axis, ...]:
        read = frozenset[str]().union(*(condition.pointers for condition in self.conditions))
        return tuple(axis for axis in self.axes if axis.pointer not in read)

    @cached_property
    def _joined(self) -> "array[int]":
        """The allowed combinations of the joined axes, as numbers of the grid of these axes; [0] without conditions."""
        count = prod(axis.size or 0 for axis in self._joined_axes)
        return array("L", (number for number in range(count) if self.allows(self._combination(number))))

    def _combination(self, number: int) -> Point:
        return _mixed_radix(self._joined_axes, number)[1]


def _mixed_radix(axes: tuple[Axis, ...], number: int) -> tuple[int, Point]:
    """Return the point with this number, whose last axis moves fastest, and the rest of the number."""
    point: Point = {}
    for axis in reversed(axes):
        assert axis.size is not None
        number, index = divmod(number, axis.size)
        point[axis.pointer] = axis.at(index)
    return number, point


def build_space(study: Study) -> Space:
    """Return the space of a study. Raises StudyError if it is too large, not countable, or empty."""
    search = study.search
    axes = tuple(Axis(pointer, parameter) for pointer, parameter in search.parameters.items())
    _require_countable(study, axes)
    conditions = []
    for position, text in enumerate(search.where):
        try:
            conditions.append(parse_condition(text, search.pointers))
        except BadCondition as error:
            raise study.error([(f"/search/where/{position}", str(error))]) from error
    space = Space(search.method, search.seed, axes, tuple(conditions), search.points or ())
    try:
        _require_points(study, space)
    except BadCondition as error:
        raise study.error([("/search/where", str(error))]) from error
    return space


def trials_of(study: Study, space: Space) -> int:
    """Return the number of trials of a study."""
    if study.search.trials is not None:
        return study.search.trials
    assert space.size is not None
    return space.size


def _require_countable(study: Study, axes: tuple[Axis, ...]) -> None:
    if study.search.method != "grid":
        return
    problems = []
    for axis in axes:
        if axis.size is None:
            at = "/search/parameters/" + axis.pointer.replace("~", "~0").replace("/", "~1")
            problems.append((at, "a grid needs single values here: add step, or list them with choices"))
    if problems:
        raise study.error(problems)
    size = prod(axis.size or 0 for axis in axes)
    if size > MAX_TRIALS:
        message = (
            f"the grid has {size:,} points; the limit is {MAX_TRIALS:,}; use method: halton, trials: 2000"
        )
        raise study.error([("/search", message)])


def _require_points(study: Study, space: Space) -> None:
    if space.share_allowed() == 0.0:
        raise BadCondition("where excludes every point; widen the ranges or relax where")
    trials, method = study.search.trials, study.search.method
    if method == "grid" and trials is not None and space.size is not None and trials > space.size:
        message = f"trials is {trials:,}, but the grid has {space.size:,} points; remove trials"
        raise study.error([("/search/trials", message)])
