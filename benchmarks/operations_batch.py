"""1,000 no-op operations submitted as one batch, beside the same number of single requests over one connection.

Target: a batch is stored within two seconds.
"""

import statistics
import time

import httpx

from benchmarks._figures import print_figure
from benchmarks._system import System, running

ITEMS = 1000
SINGLES = 100
ROUNDS = 3
NOOP = {"operation_type": "noop", "parameters": {}}


def announce(system: System) -> None:
    """Register a worker that is only a row, so that the type is known."""
    with httpx.Client(base_url=system.url, headers=bearer(system.enrolment_token)) as http:
        kind = {
            "operation_type": "noop",
            "start_path": "/noop/start",
            "parameters_schema": {"type": "object"},
        }
        http.post(
            "/workers/register",
            json={
                "worker_id": "row", "worker_type": "stub", "endpoint_url": "http://127.0.0.1:9", "instance_id": "0",
                "version": "0", "protocol_version": 1, "capabilities": {}, "operation_types": [kind],
            },
        ).raise_for_status()  # fmt: skip


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def seconds(http: httpx.Client, path: str, body: object) -> float:
    started = time.perf_counter()
    http.post(path, json=body).raise_for_status()
    return time.perf_counter() - started


def main() -> None:
    with running(KTRDR_HEALTH_INTERVAL_S="3600") as system:
        announce(system)
        with httpx.Client(base_url=system.url, headers=bearer(system.token), timeout=60) as http:
            singles = ITEMS / SINGLES * sum(seconds(http, "/operations", NOOP) for _ in range(SINGLES))
            body = {"operations": [NOOP] * ITEMS}
            batch = statistics.median(seconds(http, "/operations/batch", body) for _ in range(ROUNDS))
    compared = {"peer": f"one by one: {singles:.1f} s", "ratio": round(singles / batch, 1)}
    print_figure(f"{ITEMS:,} operations submitted as one batch", batch, "s", **compared)


if __name__ == "__main__":
    main()
