"""Turning predictions into target directions: clear signals, unclear ones, and look-ahead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.backtesting.decisions import UNCLEAR, BadPredictions, signals, target_directions
from workers.strategy.sections.decisions import (
    ClassificationDecisions,
    CostModel,
    Filters,
    RegressionDecisions,
)

SHORT, FLAT, LONG, EVEN = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.35, 0.3, 0.35]
UNKNOWN = [np.nan] * 3


def by_class(**fields: object) -> ClassificationDecisions:
    return ClassificationDecisions(output_format="classification", **fields)


def test_a_probability_below_the_threshold_is_unclear() -> None:
    result = signals(by_class(confidence_threshold=0.5), np.array([SHORT, FLAT, LONG, EVEN, UNKNOWN]))
    assert result.tolist() == [-1, 0, 1, UNCLEAR, UNCLEAR]


def test_an_unclear_prediction_keeps_or_closes_the_position() -> None:
    predictions = np.array([LONG, EVEN, UNKNOWN, SHORT, EVEN])
    assert target_directions(by_class(position_awareness=True), predictions).tolist() == [1, 1, 1, -1, -1]
    assert target_directions(by_class(position_awareness=False), predictions).tolist() == [1, 0, 0, -1, 0]


def test_without_permission_a_short_is_flat_and_a_request_cannot_allow_it() -> None:
    predictions = np.array([SHORT, LONG, SHORT])
    assert target_directions(by_class(allow_short=False), predictions).tolist() == [0, 1, 0]
    assert target_directions(by_class(allow_short=False), predictions, allow_short=True).tolist() == [0, 1, 0]
    assert target_directions(by_class(), predictions, allow_short=False).tolist() == [0, 1, 0]


def test_changes_of_direction_are_separated() -> None:
    predictions = np.array([LONG, SHORT, SHORT, SHORT, LONG, FLAT])
    separated = by_class(filters=Filters(min_signal_separation=2))
    assert target_directions(separated, predictions).tolist() == [1, 1, 1, -1, -1, -1]


def test_a_forecast_is_a_signal_only_above_its_costs() -> None:
    decisions = RegressionDecisions(
        output_format="regression", cost_model=CostModel(round_trip_cost=0.002, min_edge_multiplier=2.0)
    )
    result = signals(decisions, np.array([0.0041, 0.0039, -0.0041, -0.0039, np.nan]))
    assert result.tolist() == [1, UNCLEAR, -1, UNCLEAR, UNCLEAR]


@pytest.mark.parametrize("wrong", [np.zeros((3, 2)), np.zeros(3), np.full((3, 3), np.inf)])
def test_predictions_of_a_wrong_shape_are_rejected(wrong: np.ndarray) -> None:
    with pytest.raises(BadPredictions):
        signals(by_class(), wrong)


@given(
    rows=st.lists(st.sampled_from([SHORT, FLAT, LONG, EVEN, UNKNOWN]), min_size=2, max_size=60),
    cut=st.integers(1, 59),
    separation=st.integers(0, 5),
    keep=st.booleans(),
)
def test_later_predictions_never_change_earlier_directions(
    rows: list[list[float]], cut: int, separation: int, keep: bool
) -> None:
    decisions = by_class(position_awareness=keep, filters=Filters(min_signal_separation=separation))
    whole = target_directions(decisions, np.array(rows))
    assert target_directions(decisions, np.array(rows[:cut])).tolist() == whole[:cut].tolist()
