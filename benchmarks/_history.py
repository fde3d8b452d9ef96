"""A site with years behind it, for `pages`: workers that are only rows, operations, and one long report."""

import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "strategies"
POINTS = 5_000
STEPS = 2_500
NOW = datetime.now(UTC)
BEGAN = {"RUNNING", "COMPLETED", "FAILED", "CANCELLED"}
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}


def make(operations: int, workers: int) -> dict[str, str]:
    """Writes it all; the answer names what the pages of single things show."""
    chance = random.Random(7)
    texts = _strategies(40)
    names = _workers(workers)
    rows = [_operation(number, texts, names, chance) for number in range(operations)]
    for training, backtest in zip(rows[::4], rows[1::4], strict=False):
        backtest.parameters = {"model": training.pk, "symbol": "AAPL"}
    _store(rows)
    trained = next(row for row in rows if row.operation_type == "training" and row.status == "COMPLETED")
    traded = [row for row in rows if row.operation_type == "backtesting" and row.status == "COMPLETED"]
    _points(trained)
    _report(traded[0])
    _market_data(50)
    return {
        "training": trained.pk,
        "backtest": traded[0].pk,
        "other": traded[1].pk,
        "running": next(row.pk for row in rows if row.status == "RUNNING"),
        "worker": names[0],
        "strategy": _digest_of(trained.pk),
    }


def _digest_of(training: str) -> str:
    from operations.models import Operation

    return str(Operation.objects.values_list("strategy", flat=True).get(pk=training))


def _strategies(count: int) -> list[str]:
    """Variants of the examples, each a text of its own."""
    texts = [path.read_text() for path in sorted(EXAMPLES.glob("*.yaml"))]
    return [f"{texts[number % len(texts)]}\n# variant {number}\n" for number in range(count)]


def _workers(count: int) -> list[str]:
    from registry.models import Capability, Worker

    kinds = {"training": ["training"], "backtesting": ["backtesting", "data_import"]}
    known = {
        kind: [
            Capability.objects.create(
                operation_type=one, worker_type=kind, start_path=f"/{one}/start", parameters_schema={}
            )
            for one in types
        ]
        for kind, types in kinds.items()
    }
    rows = Worker.objects.bulk_create(
        Worker(
            worker_id=f"{kind}-{number:03}",
            worker_type=kind,
            endpoint_url="http://127.0.0.1:9",
            instance_id=f"{number:016x}",
            status="BUSY" if number < count * 3 // 4 else "AVAILABLE",
            cordoned=number >= count * 3 // 4,
            capabilities={"cores": 16, "memory_gb": 64, "gpu": number % 4 == 0},
            resources={"cpu_percent": 80.0, "memory_percent": 40.0},
            last_health_check=NOW,
            last_healthy_at=NOW,
        )
        for number, kind in ((number, list(kinds)[number % 2]) for number in range(count))
    )
    through = Worker.announced.through
    through.objects.bulk_create(
        through(worker=row, capability=one) for row in rows for one in known[row.worker_type]
    )
    return [row.worker_id for row in rows]


def _operation(number: int, texts: list[str], workers: list[str], chance: random.Random) -> Any:
    """The newest first: as many running as workers are busy, some that wait, some that failed."""
    from operations.models import Operation

    busy = len(workers) * 3 // 4
    status = "RUNNING" if number < busy else "PENDING" if number < busy + 100 else "COMPLETED"
    if status == "COMPLETED" and number % 10 == 0:
        status = "FAILED" if number % 20 else "CANCELLED"
    kind = ("training", "backtesting")[number % 2]
    created = NOW - timedelta(minutes=3 * number)
    return Operation(
        operation_type=kind,
        status=status,
        created_at=created,
        started_at=created if status in BEGAN else None,
        completed_at=created + timedelta(minutes=2) if status in ENDED else None,
        worker_id=workers[number % busy] if status in BEGAN else "",
        attempt=1 if status in BEGAN else 0,
        error_class="job" if status == "FAILED" else "",
        error_message="ValueError: the bars end before the window" if status == "FAILED" else "",
        waiting_reason="100 workers, all busy" if status == "PENDING" else "",
        progress={"percentage": number % 100, "current_step": "epoch 7"} if status == "RUNNING" else {},
        parameters={
            "strategy_yaml": texts[number % len(texts)], "symbol": "AAPL", "symbols": ["AAPL", "IBM"], "seed": number,
        },
        result=_result(kind, chance) if status == "COMPLETED" else None,
    )  # fmt: skip


def _result(kind: str, chance: random.Random) -> dict[str, Any]:
    if kind == "training":
        part = {"accuracy": chance.uniform(0.3, 0.5), "log_loss": chance.uniform(1.0, 1.2)}
        return {
            "metrics": {"train": part, "validation": part, "test": part},
            "rows": {"train": 5000, "validation": 1000, "test": 1000},
            "model": {"sha256": "0" * 64, "architecture": {"type": "mlp"}, "parameters_count": 1507, "input_names": ["x"]},
            "best_epoch": 15, "epochs": 27, "seconds": 3.1, "device": "cpu",
        }  # fmt: skip
    metrics = {
        "total_return": chance.gauss(0.05, 0.2),
        "sharpe": chance.gauss(0.4, 0.5),
        "trades": 40,
        "psr": 0.7,
        "dsr": 0.5,
    }
    return {"metrics": metrics, "benchmark": {"metrics": metrics}, "settings": {}, "warnings": []}  # fmt: skip


def _store(rows: list[Any]) -> None:
    from operations.models import Attempt, Event, Operation

    Operation.objects.bulk_create(rows, batch_size=1000)
    begun = [row for row in rows if row.attempt]
    Attempt.objects.bulk_create(
        (
            Attempt(
                operation=row,
                number=1,
                worker_id=row.worker_id,
                instance_id="0",
                endpoint_url="http://127.0.0.1:9",
                claimed_at=row.created_at,
                started_at=row.created_at,
                ended_at=row.completed_at,
                outcome=row.status.lower() if row.completed_at else "",
            )
            for row in begun
        ),
        batch_size=1000,
    )
    Event.objects.bulk_create(
        (
            Event(operation=row, kind="status", to_status=row.status, actor="bench", at=row.created_at)
            for row in rows
        ),
        batch_size=1000,
    )


def _points(training: Any) -> None:
    from operations.models import LogLine, MetricPoint

    names = ("train_loss", "validation_loss")
    MetricPoint.objects.bulk_create(
        MetricPoint(
            operation=training, attempt=1, seq=2 * step + which, name=name, step=step, time=NOW,
            value=math.exp(-step / 800) + 0.1 * which,
        )
        for step in range(STEPS)
        for which, name in enumerate(names)
    )  # fmt: skip
    LogLine.objects.bulk_create(
        LogLine(operation=training, attempt=1, seq=step, level="info", time=NOW, message=f"epoch {step}")
        for step in range(STEPS)
    )


def _report(backtest: Any) -> None:
    """`report.json` of `POINTS` bars and a trade on every tenth."""
    from operations import artifacts
    from operations.models import Artifact

    begins = datetime(2000, 1, 3, tzinfo=UTC)
    time = [(begins + timedelta(days=day)).isoformat() for day in range(POINTS)]
    wave = [100 + 20 * math.sin(day / 90) for day in range(POINTS)]
    trades = [
        {
            "entry_time": time[day], "exit_time": time[day + 5], "side": 1, "quantity": 10.0, "entry_price": wave[day],
            "exit_price": wave[day + 5], "fees": 1.0, "pnl": wave[day + 5] - wave[day], "exit_reason": "signal",
            "return": wave[day + 5] / wave[day] - 1,
        }
        for day in range(0, POINTS - 10, 10)
    ]  # fmt: skip
    series = {
        "time": time, "close": wave, "equity": [1000 * value for value in wave], "benchmark": [900 * value for value in wave],
        "drawdown": [min(0.0, value / 120 - 1) for value in wave], "rolling_sharpe": [math.sin(day / 50) for day in range(POINTS)],
    }  # fmt: skip
    stored = artifacts.put([json.dumps({"series": series, "trades": trades}).encode()])
    Artifact.objects.create(operation=backtest, role=Artifact.Role.OUTPUT, name="report.json", file=stored)


def _market_data(count: int) -> None:
    from operations import artifacts
    from operations.models import MarketData

    bars = artifacts.put([b"bars"])
    MarketData.objects.bulk_create(
        MarketData(
            symbol=f"SYM{number:03}", timeframe="1d", file=bars, rows=POINTS, quality={"gaps": 0},
            start=NOW - timedelta(days=POINTS), end=NOW,
        )
        for number in range(count)
    )  # fmt: skip
