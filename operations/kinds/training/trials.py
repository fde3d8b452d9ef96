"""Counts trainings as trials: whoever sees the figures of the test period may choose the next settings by them.

A training counts once for each of its symbols, when its result has figures of the test part. It has no Sharpe ratio, so
it enters the number of trials of the deflated Sharpe ratio and not the variance (`docs/correctness.md`).
"""

from functools import cache
from typing import Any

from django.db import connection

from access.isolation import isolated
from operations import strategies
from operations.kinds.training.request import TrainingRequest
from operations.models import Operation
from operations.presentation.numbers import dig
from operations.runs.recording import finite
from operations.trial_settings import digest_sql

_COUNT = f"""
    INSERT INTO operations_trial (symbol, timeframe, settings_sha256, without_ratio)
    SELECT DISTINCT symbol, %s, {digest_sql(("device",))}, TRUE
    FROM operations_operation, jsonb_array_elements_text(parameters -> 'symbols') AS symbol
    WHERE operation_id = %s ORDER BY symbol ON CONFLICT DO NOTHING
"""  # noqa: S608  (constants)
"""The device is where a training runs, not a setting. Ordered, so that two equal trainings cannot block each other."""


def count_trials(operation: Operation, result: dict[str, Any]) -> None:
    """Count a completed training whose result has figures of the test part; settings that were counted change nothing.

    A training whose symbols or timeframe cannot be read completes without being counted.
    """
    if not shows_test_figures(result):
        return
    with isolated("counting a training as a trial", operation_id=operation.pk), connection.cursor() as cursor:
        cursor.execute(_COUNT, [_base_timeframe(operation.parameters), _defaults(), operation.pk])


def shows_test_figures(result: dict[str, Any]) -> bool:
    figures = dig(result, "metrics", "test")
    return isinstance(figures, dict) and any(finite(value) is not None for value in figures.values())


def _base_timeframe(parameters: dict[str, Any]) -> str:
    timeframes: list[str] = parameters["timeframes"]
    return timeframes[0] if len(timeframes) == 1 else strategies.read(parameters["strategy_yaml"], "").base


@cache
def _defaults() -> str:
    """Return the settings that a request without any has, as JSON."""
    return TrainingRequest.model_construct(strategy_yaml="").model_dump_json(exclude_none=True)
