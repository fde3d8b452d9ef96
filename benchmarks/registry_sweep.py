"""One health sweep over 1,000 workers of which 100 hang, and the registry's queries over 10,000 rows.

Real PostgreSQL (the embedded one), workers on real sockets in another process. Targets: inside one interval of 10 s,
at most 5 writing statements, less than 150 MB for the sweeping process; each query less than 50 ms in the database.
"""

import json
import resource
import subprocess
import sys
import time
from typing import Any

from benchmarks._database import own_database
from benchmarks._figures import print_figure

WORKERS, HANGING, ROWS = 1_000, 100, 10_000


def main() -> None:
    with own_database():
        sweep()
        queries()


def sweep() -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from registry import health
    from registry.models import Worker

    stubs = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._stub_workers", str(WORKERS), str(HANGING)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert stubs.stdout
        served = json.loads(stubs.stdout.readline())
        Worker.objects.bulk_create(
            Worker(worker_id=name, instance_id=instance, endpoint_url=url, worker_type="stub")
            for name, instance, url in served
        )
        health.sweep()
        begun = time.perf_counter()
        with CaptureQueriesContext(connection) as captured:
            summary = health.sweep()
        seconds = time.perf_counter() - begun
    finally:
        assert stubs.stdin
        stubs.stdin.close()
        stubs.wait(30)
    if summary is None or (summary["healthy"], summary["failed"]) != (WORKERS - HANGING, HANGING):
        raise SystemExit(f"the sweep says {summary}")
    writing = [q for q in captured if q["sql"].lstrip().startswith(("UPDATE", "INSERT", "DELETE"))]
    print_figure(f"sweep of {WORKERS} workers, {HANGING} hanging", seconds, "s")
    print_figure("its writing statements", len(writing), "statements")
    print_figure("its process, at most", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB")


def queries() -> None:
    from django.db import connection

    from registry.models import Capability, Worker
    from registry.selection import candidates

    kind = Capability.objects.create(
        operation_type="noop", worker_type="stub", start_path="/noop/start", parameters_schema={}
    )
    Worker.objects.all().delete()
    rows = Worker.objects.bulk_create(
        Worker(
            worker_id=f"row-{number:05}",
            instance_id="x",
            endpoint_url="http://127.0.0.1:1",
            worker_type="stub",
            capabilities={"gpu": number % 10 == 0, "gpu_memory_gb": number % 48},
            status="BUSY" if number % 3 else "AVAILABLE",
        )
        for number in range(ROWS)
    )
    through = Worker.announced.through
    through.objects.bulk_create(through(worker=row, capability=kind) for row in rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    asked: dict[str, Any] = {
        "selection": candidates("noop", {})[:1],
        "selection with requirements, GPU first": candidates(
            "noop", {"gpu": True, "gpu_memory_gb": 24}, True
        )[:1],
        "list page": Worker.objects.filter(worker_type="stub", worker_id__gt="row-05000").order_by(
            "worker_id"
        )[:50],
    }
    for name, query in asked.items():
        plan = json.loads(query.explain(format="json", analyze=True))[0]
        print_figure(f"{name} over {ROWS:,} workers, in the database", plan["Execution Time"], "ms")


if __name__ == "__main__":
    main()
