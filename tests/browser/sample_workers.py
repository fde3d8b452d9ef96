"""Sample workers of all statuses."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from registry.models import Capability, Worker
from tests.browser.sample_operations import ago
from worker_agent.inputs import Bars


class VolatilityParameters(BaseModel):
    """Parameters of each kind, of a type that only a worker knows."""

    symbol: Annotated[str, Bars("1d")]
    window: int = Field(default=20, ge=2, le=500, description="Bars of one estimate")
    estimator: Literal["close", "parkinson"] = "close"
    is_annualized: bool = True
    quantiles: list[float] = [0.1, 0.5, 0.9]
    note: str = Field(default="", max_length=5000)
    options: dict[str, float] = {}


def create_workers() -> None:
    schema = {"type": "object"}
    training = Capability.objects.create(
        operation_type="training",
        worker_type="training",
        start_path="/training/start",
        parameters_schema=schema,
    )
    backtesting = Capability.objects.create(
        operation_type="backtesting",
        worker_type="backtesting",
        start_path="/backtests/start",
        parameters_schema=schema,
    )
    importing = Capability.objects.create(
        operation_type="data_import",
        worker_type="backtesting",
        start_path="/data-imports/start",
        parameters_schema=schema,
    )
    Capability.objects.create(
        operation_type="volatility",
        worker_type="volatility",
        start_path="/volatility/start",
        parameters_schema=VolatilityParameters.model_json_schema(),
    )
    for number, (kind, status, extra) in enumerate(
        [
            (
                "training",
                "BUSY",
                {"capabilities": {"cores": 16, "memory_gb": 64, "gpu": True, "gpu_memory_gb": 24}},
            ),
            ("training", "AVAILABLE", {"cordoned": True, "cordon_reason": "memory upgrade"}),
            ("backtesting", "AVAILABLE", {}),
            ("backtesting", "AVAILABLE", {}),
            (
                "backtesting",
                "TEMPORARILY_UNAVAILABLE",
                {
                    "unavailable_since": ago(minutes=2),
                    "health_check_failures": 12,
                    "health_problem": "no response within 5 s",
                    "last_healthy_at": ago(minutes=3),
                },
            ),
        ],
        start=1,
    ):
        worker = Worker.objects.create(
            **{
                "worker_id": f"{kind}-{number:02}",
                "worker_type": kind,
                "endpoint_url": f"http://10.0.0.{number}:5003",
                "instance_id": f"3f9c2ab1{number}",
                "version": "0.1.0",
                "status": status,
                "capabilities": {"cores": 8, "memory_gb": 32, "gpu": False},
                "resources": {"cpu_percent": 11.0 * number, "memory_percent": 23.0},
                "load_history": [
                    [11.0 * number + check % 9, 23.0, 90.0 - check if number == 1 else None]
                    for check in range(60)
                ],
                "registered_at": ago(days=2),
                "last_health_check": ago(seconds=4),
                "last_healthy_at": ago(seconds=4),
                **extra,
            }
        )
        worker.announced.set([training] if kind == "training" else [backtesting, importing])
