"""Messages of studies: sizes and consistency."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from worker_agent.protocol import MAX_RESULT_BYTES
from workers.studies.messages import MAX_TRIALS, BatchParameters, BatchResult, Trial, TrialState

STRATEGY = "name: x"


def batch(*numbers: int) -> BatchParameters:
    trials = tuple(Trial(number=number, point={"/indicators/rsi/period": number}) for number in numbers)
    return BatchParameters(
        strategy_yaml=STRATEGY, study_yaml="study: '1.0'", kind="rules", symbols=("A",), trials=trials
    )


def test_the_result_of_the_largest_batch_fits_into_an_operation() -> None:
    column = [-0.12345678901234567 * (i + 1) for i in range(MAX_TRIALS)]
    names = ("sharpe", "total_return", "max_drawdown", "volatility", "exposure", "trades")
    result = BatchResult(
        number=list(range(2**32 - MAX_TRIALS, 2**32)),
        state=[TrialState.STOPPED_EARLY] * MAX_TRIALS,
        value=list(column),
        scores={name: list(column) for name in names},
        cpu_ms=[-value for value in column],
    )
    assert len(result.model_dump_json()) < MAX_RESULT_BYTES


@pytest.mark.parametrize("numbers", [(1, 1), (2, 1)])
def test_a_batch_lists_its_trials_once_in_order(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="increasing order"):
        batch(*numbers)
    assert len(batch(3, 7).trials) == 2


def test_columns_of_a_result_have_one_entry_per_trial() -> None:
    with pytest.raises(ValidationError, match="one entry per trial"):
        BatchResult(number=[1, 2], state=[TrialState.FAILED] * 2, value=[None], scores={}, cpu_ms=[1.0, 1.0])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    columns: dict[str, Any] = {"number": [1], "state": [TrialState.COMPLETED], "cpu_ms": [1.0]}
    with pytest.raises(ValidationError, match="finite"):
        BatchResult(**columns, value=[value], scores={})
    with pytest.raises(ValidationError, match="finite"):
        BatchResult(**columns, value=[None], scores={"sharpe": [value]})
