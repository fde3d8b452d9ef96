"""The number of trials on the same bars, backtests and trainings, compared with a literal count of distinct settings."""

import json
from collections.abc import Callable
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operations import strategies
from operations.kinds.backtesting import trials
from operations.kinds.backtesting.inputs import prepare
from operations.kinds.backtesting.request import BacktestRequest
from operations.kinds.backtesting.trials import (
    count_trials,
    record_sharpe,
    sharpes_of_others,
    training_trials,
)
from operations.models import Operation, Trial, TrialCount
from operations.registered_kinds import kind_of
from registry.models import Capability
from tests.factories import OperationFactory
from worker_agent.protocol import Outcome, Report

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "strategies"
DEFAULTS = json.loads(BacktestRequest.model_construct().model_dump_json(exclude_none=True))
parameters = st.fixed_dictionaries(
    {"symbol": st.sampled_from(["AAPL", "IBM"]), "seed": st.sampled_from([1, 2, 42])},
    optional={
        "timeframe": st.sampled_from(["1d", "1h"]),
        "trials": st.integers(1, 9),
        "trial_sharpes": st.just([0.1, -0.2]),
        "training_trials": st.integers(1, 9),
        "commission": st.sampled_from([0.001, 0.002]),
    },
)


def distinct(settings: dict[str, Any]) -> str:
    kept = {
        name: value
        for name, value in settings.items()
        if DEFAULTS.get(name) != value and name not in ("trials", "trial_sharpes", "training_trials")
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


def backtest(seed: int, symbol: str = "AAPL", **parameters: Any) -> Operation:
    settings = {"symbol": symbol, "timeframe": "1d", "seed": seed, **parameters}
    return OperationFactory(operation_type="backtesting", parameters=settings)


def complete(operation: Operation, sharpe: Any, per_year: Any = 256.0) -> None:
    count_trials(operation)
    record_sharpe(operation, {"metrics": {"sharpe": sharpe, "periods_per_year": per_year}})


@pytest.mark.django_db
def test_a_backtest_receives_the_ratios_of_the_other_trials_on_its_data() -> None:
    for seed, sharpe in enumerate((1.6, -0.8, 3.2)):
        complete(backtest(seed), sharpe)
    complete(backtest(9, symbol="IBM"), 8.0)
    assert sharpes_of_others(backtest(0)) == [3.2 / 16, -0.8 / 16], "the newest first, without its own"
    assert sharpes_of_others(backtest(7)) == [3.2 / 16, -0.8 / 16, 1.6 / 16]
    complete(backtest(1), 4.0)
    assert sharpes_of_others(backtest(0)) == [3.2 / 16, 4.0 / 16], "a repetition replaces its ratio"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sharpe", "per_year"), [(None, 256.0), ("2", 256.0), (1.5, None), (1.5, 0.0), (float("inf"), 252.0), (10**400, 252.0)],
    ids=["none", "text", "no-year", "zero-year", "infinite", "huge"],
)  # fmt: skip
def test_a_result_without_a_usable_ratio_leaves_the_trial_without_one(sharpe: Any, per_year: Any) -> None:
    complete(backtest(1), sharpe, per_year)
    assert Trial.objects.get().sharpe is None


@pytest.mark.django_db
@pytest.mark.parametrize("is_known", [True, False], ids=["new-workers", "old-workers"])
def test_only_workers_that_know_the_ratios_receive_them(is_known: bool) -> None:
    properties = {"symbol": {}, "trial_sharpes": {}} if is_known else {"symbol": {}}
    Capability.objects.create(
        operation_type="backtesting",
        worker_type="backtesting",
        start_path="/backtests/start",
        parameters_schema={"properties": properties},
    )
    complete(backtest(1), 1.6)
    retried = backtest(2, trial_sharpes=[9.0])
    prepare(retried)
    assert retried.parameters["trials"] == 2
    assert retried.parameters.get("trial_sharpes") == ([0.1] if is_known else None)


@pytest.mark.django_db
def test_the_ratios_are_those_of_the_newest_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MOST_SHARPES", 2)
    for seed in range(4):
        complete(backtest(seed), 16.0 * seed)
    assert sharpes_of_others(backtest(9)) == [3.0, 2.0]


LOOKED_AT = {"metrics": {"train": {"loss": 0.4}, "test": {"loss": 0.7, "accuracy": 0.55}}}


def training(result: Any = LOOKED_AT, **parameters: Any) -> Operation:
    settings = {"strategy_yaml": "a", "symbols": ["AAPL"], "timeframes": ["1d"], "seed": 42, "device": "auto"}
    return OperationFactory(
        operation_type="training", parameters=settings | parameters, result=result, status="COMPLETED",
        completed_at="2026-01-01T00:00Z",
    )  # fmt: skip


def complete_each(operations: list[Operation]) -> None:
    for operation in operations:
        kind_of("training").complete(
            operation, Report(attempt=1, instance_id="i", outcome=Outcome.COMPLETED, result=operation.result)
        )


def migrate(operations: list[Operation]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(import_module("operations.migrations.0025_training_trials").COUNT_TRAININGS)


trainings = st.lists(
    st.fixed_dictionaries(
        {"symbols": st.lists(st.sampled_from(["AAPL", "IBM", "GE"]), min_size=1, max_size=4)},
        optional={
            "seed": st.sampled_from([1, 42]),
            "device": st.sampled_from(["auto", "cpu"]),
            "timeframes": st.sampled_from([["1h"], ["1d"]]),
        },
    ),
    max_size=8,
)


@pytest.mark.django_db
@pytest.mark.parametrize("count", [complete_each, migrate])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=trainings)
def test_settings_of_trainings_count_once_for_each_symbol(
    count: Callable[[list[Operation]], None], rows: list[dict[str, Any]]
) -> None:
    with transaction.atomic():
        seen = {
            (symbol, *row.get("timeframes", ["1d"]), tuple(row["symbols"]), row.get("seed", 42))
            for row in rows
            for symbol in row["symbols"]
        }
        operations = [training(**row) for row in rows]
        for each in (count, count, complete_each):
            each(operations)
        assert Trial.objects.filter(without_ratio=True).count() == len(seen)
        for symbol, timeframe in product(("AAPL", "IBM", "GE"), ("1d", "1h")):
            expected = sum(key[:2] == (symbol, timeframe) for key in seen)
            assert training_trials(backtest(1, symbol, timeframe=timeframe)) == expected
        transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize("count", [complete_each, migrate])
@pytest.mark.parametrize(
    "result", [{}, {"metrics": None}, {"metrics": {"test": {}}}, {"metrics": {"test": {"loss": None, "f1": "x"}}}], ids=str
)  # fmt: skip
def test_a_training_without_test_figures_is_no_trial(
    count: Callable[[list[Operation]], None], result: Any
) -> None:
    count([training(result)])
    assert not Trial.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "parameters",
    [{"symbols": "AAPL"}, {"symbols": None}, {"symbols": ["A" * 65]}, {"timeframes": ["1h", "1d"], "strategy_yaml": "[]"}],
    ids=["text", "none", "long", "strategy"],
)  # fmt: skip
def test_a_training_of_unreadable_data_completes_without_a_trial(
    parameters: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    operation = training(**parameters)
    migrate([operation])
    complete_each([operation])
    assert not Trial.objects.exists()
    assert "counting a training as a trial" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize("count", [complete_each, migrate])
def test_several_timeframes_count_for_the_base_timeframe(count: Callable[[list[Operation]], None]) -> None:
    text = (EXAMPLES / "weekly_trend_daily_entry.yaml").read_text()
    count([training(strategy_yaml=text, timeframes=list(strategies.read(text, "").timeframes))])
    assert Trial.objects.get().timeframe == strategies.read(text, "").base


@pytest.mark.django_db
@pytest.mark.parametrize("is_known", [True, False], ids=["new-workers", "old-workers"])
def test_trainings_are_trials_of_a_later_backtest(is_known: bool) -> None:
    Capability.objects.create(
        operation_type="backtesting",
        worker_type="backtesting",
        start_path="/backtests/start",
        parameters_schema={"properties": {"training_trials": {}} if is_known else {}},
    )
    complete_each([training(seed=seed) for seed in (1, 2, 3)])
    complete(backtest(1), 1.6)
    later = backtest(2)
    for _ in range(2):
        prepare(later)
        assert later.parameters["trials"] == 5
        assert later.parameters.get("training_trials") == (3 if is_known else None)
    assert sharpes_of_others(later) == [0.1], "a training has no ratio"


@pytest.mark.django_db
@pytest.mark.parametrize("is_former", [True, False], ids=["former-names", "present-names"])
def test_a_database_with_the_former_names_of_the_column_gets_the_present_ones(is_former: bool) -> None:
    with connection.cursor() as cursor:
        if is_former:
            cursor.execute("ALTER TABLE operations_trial RENAME COLUMN without_ratio TO is_training")
            cursor.execute("ALTER INDEX trial_without_ratio RENAME TO trial_training")
        cursor.execute(import_module("operations.migrations.0034_trials_without_ratio").RENAME)
        names = connection.introspection.get_constraints(cursor, Trial._meta.db_table)
    complete_each([training()])
    assert training_trials(backtest(1)) == 1
    assert "trial_without_ratio" in names
    assert "trial_training" not in names
