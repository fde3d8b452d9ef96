"""Counts the distinct backtests on the same bars: the number of trials of the deflated Sharpe ratio.

Bailey and Lopez de Prado (2014). The data are the same where symbol and timeframe are, whichever part of the time was used:
a person remembers what worked. A repetition of the same settings is not another trial.
"""

from functools import cache

from django.db import connection

from operations.kinds.backtesting.request import BacktestRequest
from operations.models import Operation, TrialCount

_COUNT = """
    WITH operation AS (
        SELECT COALESCE(parameters ->> 'symbol', '') AS symbol, COALESCE(parameters ->> 'timeframe', '') AS timeframe,
               encode(sha256(convert_to((
                   SELECT COALESCE(jsonb_object_agg(key, value), '{}') FROM jsonb_each(parameters - 'trials')
                   WHERE value IS DISTINCT FROM %s::jsonb -> key
               )::text, 'UTF8')), 'hex') AS settings_sha256
        FROM operations_operation WHERE operation_id = %s
    ), added AS (
        INSERT INTO operations_trial (symbol, timeframe, settings_sha256) SELECT * FROM operation
        ON CONFLICT DO NOTHING RETURNING symbol, timeframe
    )
    INSERT INTO operations_trialcount (symbol, timeframe, trials) SELECT symbol, timeframe, 1 FROM added
    ON CONFLICT (symbol, timeframe) DO UPDATE SET trials = operations_trialcount.trials + 1
    RETURNING trials
"""
"""Settings that have their default are left out, so that a release that adds a setting counts no backtest again."""


def count_trials(operation: Operation) -> int:
    """Count the operation, unless its settings were counted before; return the number of trials on its data.

    Takes the same time however many trials there are. The row of the counter stays locked until the transaction ends.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [_defaults(), operation.pk])
        row = cursor.fetchone()
    if row is not None:
        return int(row[0])
    data = {name: operation.parameters.get(name) or "" for name in ("symbol", "timeframe")}
    return TrialCount.objects.get(**data).trials


@cache
def _defaults() -> str:
    """Return the settings that a request without any has, as JSON."""
    return BacktestRequest.model_construct(symbol="").model_dump_json(exclude_none=True)
