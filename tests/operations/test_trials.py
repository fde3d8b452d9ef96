"""The number of trials on the same bars: a counter, compared with a literal count of distinct settings."""

import json
from importlib import import_module
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operations.kinds.backtesting.request import BacktestRequest
from operations.kinds.backtesting.trials import count_trials
from operations.models import Operation, Trial, TrialCount
from tests.factories import OperationFactory

DEFAULTS = json.loads(BacktestRequest.model_construct().model_dump_json(exclude_none=True))
parameters = st.fixed_dictionaries(
    {"symbol": st.sampled_from(["AAPL", "IBM"]), "seed": st.sampled_from([1, 2, 42])},
    optional={
        "timeframe": st.sampled_from(["1d", "1h"]),
        "trials": st.integers(1, 9),
        "commission": st.sampled_from([0.001, 0.002]),
    },
)


def distinct(settings: dict[str, Any]) -> str:
    kept = {
        name: value for name, value in settings.items() if DEFAULTS.get(name) != value and name != "trials"
    }
    return json.dumps(kept, sort_keys=True)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(backtests=st.lists(parameters, max_size=12))
def test_each_setting_on_the_same_data_counts_once(backtests: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        seen: dict[tuple[Any, Any], set[str]] = {}
        for one in backtests:
            trials = seen.setdefault((one["symbol"], one.get("timeframe")), set())
            trials.add(distinct(one))
            operation = OperationFactory(operation_type="backtesting", parameters=one)
            assert count_trials(operation) == len(trials)
        assert Trial.objects.count() == sum(map(len, seen.values()))
        assert sum(TrialCount.objects.values_list("trials", flat=True)) == Trial.objects.count()
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_the_migration_counts_what_ran_before_and_a_repetition_does_not_count_again() -> None:
    migration = import_module("operations.migrations.0012_queue")
    rows = [
        {"symbol": "AAPL", "timeframe": "1d", "seed": seed, "trials": 7, "fill": "next_open"}
        for seed in (1, 2, 2)
    ]
    for row in rows:
        operation = OperationFactory(operation_type="backtesting", parameters=row)
        Operation.objects.filter(pk=operation.pk).update(started_at="2026-01-01T00:00Z")
    OperationFactory(operation_type="backtesting", parameters={**rows[0], "seed": 3})  # never started
    with connection.cursor() as cursor:
        cursor.execute(migration.COUNT_TRIALS)
    assert TrialCount.objects.get().trials == 2
    repeated = {**rows[0], **DEFAULTS, "seed": 1}
    assert count_trials(OperationFactory(operation_type="backtesting", parameters=repeated)) == 2
    assert (
        count_trials(OperationFactory(operation_type="backtesting", parameters={**rows[0], "seed": 3})) == 3
    )
