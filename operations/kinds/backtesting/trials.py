"""Counts the distinct backtests on the same bars: the number of trials of the deflated Sharpe ratio, and their ratios.

Bailey and Lopez de Prado (2014). The data are the same where symbol and timeframe are, whichever part of the time was used:
a person remembers what worked. A repetition of the same settings is not another trial. Trainings are trials too, without
a ratio; `operations.kinds.training.trials` counts them.
"""

import math
from functools import cache
from typing import Any

from django.db import connection

from operations.kinds.backtesting.request import BacktestRequest
from operations.models import Operation, Trial, TrialCount
from operations.presentation.numbers import dig
from operations.trial_settings import digest_sql
from registry.models import Capability

MOST_SHARPES = 200
"""Newest trials whose ratios a backtest receives: enough for their variance, and 4 kB of its parameters."""

GIVEN = ("trials", "trial_sharpes", "training_trials")
"""Parameters that `prepare` adds; they are not settings of the backtest."""
NO_SETTINGS = (*GIVEN, "reference")
"""Also the series that the returns are only compared with: another one makes no other trial."""

_SETTINGS = f"""
    SELECT COALESCE(parameters ->> 'symbol', '') AS symbol, COALESCE(parameters ->> 'timeframe', '') AS timeframe,
           {digest_sql(NO_SETTINGS)} AS settings_sha256
    FROM operations_operation WHERE operation_id = %s
"""  # noqa: S608  (constants)
_COUNT = f"""
    WITH operation AS ({_SETTINGS}), added AS (
        INSERT INTO operations_trial (symbol, timeframe, settings_sha256) SELECT * FROM operation
        ON CONFLICT DO NOTHING RETURNING symbol, timeframe
    )
    INSERT INTO operations_trialcount (symbol, timeframe, trials) SELECT symbol, timeframe, 1 FROM added
    ON CONFLICT (symbol, timeframe) DO UPDATE SET trials = operations_trialcount.trials + 1
    RETURNING trials
"""  # noqa: S608  (constants)
_RECORD = f"""
    UPDATE operations_trial AS trial SET sharpe = %s FROM ({_SETTINGS}) AS operation
    WHERE (trial.symbol, trial.timeframe, trial.settings_sha256)
          = (operation.symbol, operation.timeframe, operation.settings_sha256)
"""  # noqa: S608  (constants)
_OTHERS = f"""
    SELECT trial.sharpe FROM operations_trial AS trial, ({_SETTINGS}) AS operation
    WHERE (trial.symbol, trial.timeframe) = (operation.symbol, operation.timeframe)
          AND trial.settings_sha256 <> operation.settings_sha256 AND trial.sharpe IS NOT NULL
    ORDER BY trial.id DESC LIMIT %s
"""  # noqa: S608  (constants)


def count_trials(operation: Operation) -> int:
    """Count the operation, unless its settings were counted before; return the number of backtests on its data.

    Takes the same time however many trials there are. The row of the counter stays locked until the transaction ends.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [_defaults(), operation.pk])
        row = cursor.fetchone()
    if row is not None:
        return int(row[0])
    return TrialCount.objects.get(**_data(operation)).trials


def training_trials(operation: Operation) -> int:
    """Return the number of trainings that showed figures of a test period on the operation's data.

    Counted each time: a counter would make trainings that end at the same time wait for each other.
    """
    return Trial.objects.filter(**_data(operation), without_ratio=True).count()


def _data(operation: Operation) -> dict[str, str]:
    return {name: operation.parameters.get(name) or "" for name in ("symbol", "timeframe")}


def record_sharpe(operation: Operation, result: dict[str, Any]) -> None:
    """Store the Sharpe ratio of a completed backtest with its trial. A repetition replaces the ratio."""
    annual, per_year = (dig(result, "metrics", name) for name in ("sharpe", "periods_per_year"))
    if not isinstance(annual, float) or not isinstance(per_year, float) or per_year <= 0:
        return
    sharpe = annual / math.sqrt(per_year)
    if not math.isfinite(sharpe):
        return
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [sharpe, _defaults(), operation.pk])


def sharpes_of_others(operation: Operation) -> list[float]:
    """Return the ratios per observation of the newest other trials on the operation's data, as far as they are known."""
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS, [_defaults(), operation.pk, MOST_SHARPES])
        return [float(sharpe) for (sharpe,) in cursor.fetchall()]


def workers_read(parameter: str) -> bool:
    """Whether every type of worker that runs backtests accepts this parameter; older ones reject it."""
    known = Capability.objects.filter(operation_type="backtesting").values_list(
        f"parameters_schema__properties__{parameter}", flat=True
    )
    return all(schema is not None for schema in known)


@cache
def _defaults() -> str:
    """Return the settings that a request without any has, as JSON."""
    return BacktestRequest.model_construct(symbol="").model_dump_json(exclude_none=True)
