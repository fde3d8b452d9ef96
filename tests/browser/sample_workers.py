"""Sample workers of all statuses."""

from typing import Annotated, Any, Literal

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


def descriptions() -> list[tuple[str, str, dict[str, Any]]]:
    """Return type, status and further fields of each worker."""
    gpu = {"cores": 16, "memory_gb": 64, "gpu": True, "gpu_memory_gb": 24}
    silent = {
        "unavailable_since": ago(minutes=2),
        "health_check_failures": 12,
        "health_problem": "no response within 5 s",
        "last_healthy_at": ago(minutes=3),
    }
    return [
        ("training", "BUSY", {"capabilities": gpu}),
        ("training", "AVAILABLE", {"cordoned": True, "cordon_reason": "memory upgrade"}),
        ("backtesting", "AVAILABLE", {}),
        ("backtesting", "AVAILABLE", {}),
        ("backtesting", "TEMPORARILY_UNAVAILABLE", silent),
    ]


def create_workers() -> None:
    """Create them, each with the operation types of its worker type."""
    announced = {
        "training": [create_capability("training", "training", "/training/start")],
        "backtesting": [
            create_capability("backtesting", "backtesting", "/backtests/start"),
            create_capability("data_import", "backtesting", "/data-imports/start"),
        ],
    }
    schema = VolatilityParameters.model_json_schema()
    create_capability("volatility", "volatility", "/volatility/start", schema)
    for number, (kind, status, fields) in enumerate(descriptions(), start=1):
        create_worker(number, kind, status, fields).announced.set(announced[kind])


def create_capability(
    operation_type: str, worker_type: str, start_path: str, schema: dict[str, Any] | None = None
) -> Capability:
    return Capability.objects.create(
        operation_type=operation_type,
        worker_type=worker_type,
        start_path=start_path,
        parameters_schema=schema or {"type": "object"},
    )


def create_worker(number: int, kind: str, status: str, fields: dict[str, Any]) -> Worker:
    """Create the worker with this number, which its name, address and load depend on."""
    history = [
        [11.0 * number + check % 9, 23.0, 90.0 - check if number == 1 else None] for check in range(60)
    ]
    return Worker.objects.create(
        **{
            "worker_id": f"{kind}-{number:02}",
            "worker_type": kind,
            "endpoint_url": f"http://10.0.0.{number}:5003",
            "instance_id": f"3f9c2ab1{number}",
            "version": "0.1.0",
            "status": status,
            "capabilities": {"cores": 8, "memory_gb": 32, "gpu": False},
            "resources": {"cpu_percent": 11.0 * number, "memory_percent": 23.0},
            "load_history": history,
            "registered_at": ago(days=2),
            "last_health_check": ago(seconds=4),
            "last_healthy_at": ago(seconds=4),
            **fields,
        }
    )
