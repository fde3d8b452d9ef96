"""Find the values of an indicator that no membership of a fuzzy set covers."""

from collections.abc import Iterator

from workers.strategy.definition import Strategy
from workers.strategy.errors import UnplacedProblem, pointer
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.sections.model_inputs import FuzzySet, Membership

Interval = tuple[float, float]

_GAUSSIAN_REACH = 3.0
"""Standard deviations beyond which a Gaussian membership (under 0.011) covers nothing."""


def coverage_warnings(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Warn about each fuzzy set whose memberships are all zero somewhere between its outermost feet, or somewhere in
    the range that the formula of the indicator implies."""
    for name, fuzzy_set in strategy.fuzzy_sets.items():
        indicator, output_name = strategy.resolve(fuzzy_set.indicator)
        output = INDICATORS[strategy.indicators[indicator].type].output(output_name)
        assert output is not None
        for low, high in uncovered_intervals(fuzzy_set, output.low, output.high):
            yield (
                pointer("fuzzy_sets", name),
                f"no membership covers {fuzzy_set.indicator} between {low:g} and {high:g}: the model sees only zeros there",
            )


def uncovered_intervals(fuzzy_set: FuzzySet, low: float | None, high: float | None) -> list[Interval]:
    """Return the open intervals of [low, high] in which every membership is zero."""
    covered = sorted(_support(membership) for membership in fuzzy_set.memberships.values())
    intervals: list[Interval] = []
    reached = covered[0][0] if low is None else low
    for start, end in covered:
        if start > reached:
            intervals.append((reached, start))
        reached = max(reached, end)
    if high is not None and reached < high:
        intervals.append((reached, high))
    return intervals


def _support(membership: Membership) -> Interval:
    values = membership.parameters
    if membership.type == "gaussian":
        return values[0] - _GAUSSIAN_REACH * values[1], values[0] + _GAUSSIAN_REACH * values[1]
    return values[0], values[-1]
