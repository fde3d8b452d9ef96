"""Sample operations of all kinds and statuses."""

import base64
import json
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from operations import artifacts
from operations.models import (
    Artifact,
    Attempt,
    Checkpoint,
    Event,
    LogLine,
    MarketData,
    MetricPoint,
    Operation,
    StoredFile,
)
from operations.runs import recording
from tests.browser.charts import backtest_files, market_data_chart, trades_csv
from tests.browser.reports import backtest_report, training_report

STRATEGY = """\
# Momentum of daily bars, read through fuzzy sets.
name: momentum_daily
version: "3.0"

training_data:
  symbols: {mode: multi, list: [AAPL, IBM, MSFT]}
  timeframes: {mode: single, list: [1d], base: 1d}

indicators:
  rsi_14: {type: rsi, period: 14}
"""
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""One pixel."""
COSTS = {"initial_capital": 100_000, "commission": 0.001, "slippage": 0.0005, "spread": 0.0}


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def create_operation(
    user: User, kind: str, status: str, worker_id: str = "", hours: float = 1.0, **fields: Any
) -> Operation:
    """Create an operation with the attempt and events that its status implies."""
    created = ago(hours=hours)
    ended = created + timedelta(minutes=7) if status in ("COMPLETED", "FAILED", "CANCELLED") else None
    parameters = {
        "strategy_yaml": STRATEGY,
        "symbols": ["AAPL", "IBM", "MSFT"],
        "timeframes": ["1d"],
        "seed": 42,
    }
    row = Operation.objects.create(
        **{
            "operation_type": kind,
            "status": status,
            "created_by": user,
            "parameters": parameters,
            "worker_id": worker_id,
            "attempt": 1 if worker_id else 0,
            "started_at": created + timedelta(seconds=1) if worker_id else None,
            "completed_at": ended,
            **fields,
        }
    )
    Operation.objects.filter(pk=row.pk).update(created_at=created)
    Event.objects.create(operation=row, kind="status", to_status="PENDING", actor=f"user:{user}", at=created)
    if worker_id:
        Attempt.objects.create(
            operation=row,
            number=1,
            worker_id=worker_id,
            instance_id="3f9c2ab1",
            endpoint_url="http://10.0.0.1:5003",
            claimed_at=created,
            started_at=created + timedelta(seconds=1),
            ended_at=ended,
            outcome=status.lower() if ended else "",
        )
        Event.objects.create(
            operation=row,
            kind="status",
            from_status="PENDING",
            to_status="DISPATCHING",
            attempt=1,
            actor="dispatcher",
            at=created,
        )
    if ended:
        Event.objects.create(
            operation=row,
            kind="status",
            from_status="RUNNING",
            to_status=status,
            attempt=1,
            actor=f"worker:{worker_id}",
            at=ended,
        )
    row.refresh_from_db()
    return row


def add_metrics(row: Operation, epochs: int, shift: float = 0.0) -> None:
    noise = random.Random(7)
    points = []
    for epoch in range(1, epochs + 1):
        loss = 0.6 * math.exp(-epoch / 12) + 0.45 + shift + noise.gauss(0, 0.008)
        values = {
            "train_loss": loss,
            "validation_loss": loss + 0.02 + 0.0006 * epoch,
            "train_accuracy": 1.05 - loss,
            "validation_accuracy": 1.0 - loss,
            "learning_rate": 0.001 * 0.97**epoch,
        }
        for name, value in values.items():
            points.append(
                MetricPoint(
                    operation=row,
                    attempt=1,
                    seq=len(points) + 1,
                    time=ago(hours=1),
                    name=name,
                    step=epoch,
                    value=value,
                )
            )
    MetricPoint.objects.bulk_create(points)


def add_log_lines(row: Operation, number: int) -> None:
    LogLine.objects.bulk_create(
        LogLine(
            operation=row,
            attempt=1,
            seq=seq,
            time=ago(hours=1, seconds=-seq),
            level="warning" if seq % 23 == 0 else "info",
            message=f"epoch {seq}: train loss {0.9 / seq**0.2:.4f}, validation loss {0.95 / seq**0.2:.4f}",
        )
        for seq in range(1, number + 1)
    )


def add_artifact(row: Operation, name: str, content: bytes) -> Artifact:
    """Add an output file to `row`."""
    return Artifact.objects.create(
        operation=row, role="output", name=name, attempt=1, file=artifacts.put([content])
    )


def create_running(user: User) -> Operation:
    row = create_operation(
        user,
        "training",
        "RUNNING",
        worker_id="training-01",
        hours=0.05,
        progress={
            "percentage": 43.0,
            "current_step": "epoch 43 of 100",
            "steps_completed": 43,
            "steps_total": 100,
            "eta_seconds": 95,
        },
        progress_updated_at=ago(seconds=1),
    )
    add_metrics(row, 43)
    add_log_lines(row, 120)
    return row


def create_failed(user: User) -> Operation:
    return create_operation(
        user,
        "training",
        "FAILED",
        worker_id="training-01",
        hours=3,
        error_class="job",
        error_message="RuntimeError: loss is NaN at epoch 3; the learning rate 10.0 is too large",
        error_traceback='Traceback (most recent call last):\n  File "trainer.py", line 88, in train\nRuntimeError: loss is NaN',
    )


def create_pending(user: User) -> Operation:
    return create_operation(
        user,
        "training",
        "PENDING",
        hours=0.1,
        requirements={"gpu": True},
        waiting_reason="2 training workers: 1 busy, 1 cordoned",
    )


def create_training(user: User, shift: float = 0.0) -> Operation:
    scores = {"loss": 0.61 + shift, "accuracy": 0.563 - shift}
    row = create_operation(
        user,
        "training",
        "COMPLETED",
        worker_id="training-01",
        hours=2 + shift,
        result={
            "model": {
                "sha256": "ab" * 32,
                "architecture": "mlp",
                "parameters_count": 2883,
                "input_names": ["rsi_14"],
            },
            "best_epoch": 61,
            "epochs": 80,
            "metrics": {"train": scores, "validation": scores, "test": scores},
            "rows": {"train": 5460, "validation": 1170, "test": 1170},
            "device": "cpu",
            "seconds": 12.5,
            "samples_per_second": 310_000,
        },
    )
    add_metrics(row, 80, shift)
    add_log_lines(row, 80)
    add_artifact(row, "report.json", json.dumps(training_report()).encode())
    add_artifact(row, "estimates.csv", b"symbol,volatility,bars\nAAPL,0.3125,2500\nIBM,0.1875,2400\n")
    add_artifact(row, "notes.txt", b"Two symbols, no gaps.\n")
    add_artifact(row, "plot.png", PICTURE)
    add_artifact(row, "summary.html", b"<h3 style='color: red'>Summary</h3><p>Prices move.</p>")
    Checkpoint.objects.create(operation=row, attempt=1, step=61)
    recording.record(row)
    return row


def create_backtest(user: User, model: Operation, drift: float = 0.0003) -> Operation:
    metrics = {
        "total_return": 0.184 + drift * 700, "cagr": 0.046, "volatility": 0.187, "sharpe": 0.41, "sharpe_basis": "803 daily observations, 252 a year (sessions of XNYS)",
        "periods_per_year": 252, "sortino": 0.58, "calmar": 0.24, "max_drawdown": -0.192, "max_drawdown_bars": 210,
        "max_drawdown_seconds": 26_352_000, "exposure": 0.61, "turnover": 38.2, "turnover_basis": "notional traded / mean equity, whole period", "debt": 0.0, "trades": 64, "win_rate": 0.53, "profit_factor": 1.18,
        "expectancy": 287.0, "average_trade": 0.0031, "best_trade": 0.127, "worst_trade": -0.081, "sqn": 0.61, "kelly": 0.08, "var_95": -0.018,
        "cvar_95": -0.027, "fees": 6120.5, "slippage_cost": 3060.2, "initial_capital": 100_000, "final_equity": 118_400, "psr": 0.79,
        "dsr": 0.44, "trials": 6,
    }  # fmt: skip
    row = create_operation(
        user,
        "backtesting",
        "COMPLETED",
        worker_id="backtesting-03",
        hours=1,
        parameters={
            "strategy_yaml": STRATEGY,
            "symbol": "GOOG",
            "timeframe": "1d",
            "model": model.pk,
            "fill": "next_open",
            **COSTS,
        },
        result={
            "metrics": metrics,
            "benchmark": {
                **metrics,
                "total_return": 0.78,
                "sharpe": 0.72,
                "max_drawdown": -0.31,
                "trades": 1,
            },
            "gross": {"total_return": 0.291, "cagr": 0.071, "sharpe": 0.61, "final_equity": 129_100.0},
            "settings": {"engine_semantics": 2, "calendar": "XNYS", "fill": "next_open", **COSTS},
            "warnings": ["The strategy is not profitable with doubled costs."],
            "audit": {"checked": 24, "passed": True},
        },
    )
    report = backtest_report()
    # The second one is older: it has no files of bars and trades.
    files = backtest_files(report) if drift > 0 else {}
    files |= {"report.json": json.dumps(report).encode(), "trades.csv": trades_csv(report)}
    for name, content in files.items():
        add_artifact(row, name, content)
    recording.record(row)
    return row


def create_import(user: User, symbol: str) -> Operation:
    row = create_operation(
        user,
        "data_import",
        "COMPLETED",
        worker_id="backtesting-04",
        hours=30,
        parameters={"symbol": symbol, "timeframe": "1d", "adjust": True, "filename": f"{symbol}.csv"},
        result={"symbol": symbol, "timeframe": "1d", "rows": 3270, "quality": {"gaps": 2, "spikes": 1}},
    )
    file = StoredFile.objects.create(sha256=f"{hash(symbol) & 0xFFFFFFFF:08x}" * 8, size=104_210)
    begins = datetime(2012, 5, 18, tzinfo=UTC) if symbol == "FB" else datetime(2000, 3, 1, tzinfo=UTC)
    MarketData.objects.create(
        symbol=symbol,
        timeframe="1d",
        file=file,
        chart=artifacts.put([market_data_chart()]) if symbol != "FB" else None,
        rows=3270,
        start=begins,
        end=datetime(2013, 3, 1, tzinfo=UTC),
        quality={"gaps": 2, "spikes": 1},
        imported_by=row,
    )
    return row
