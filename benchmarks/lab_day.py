"""A simulated day of a lab: 1,000 workers, 100,000 operations of 50 users, in bursts, with failures, losses and cordons.

The real queue and a real PostgreSQL; workers, users and time are simulated (`tests/operations/lab.py`). Targets: no
operation lost or doubled, and no user's operations take more than twice as long as on a private share of the workers.
The database does not wait for its disk. The default takes about 20 minutes of processor time; KTRDR_BENCH_WORKERS and
KTRDR_BENCH_JOBS set other numbers.
"""

import logging
import os
import statistics
import time

from benchmarks._database import own_database
from benchmarks._figures import print_figure

WORKERS = int(os.environ.get("KTRDR_BENCH_WORKERS", "1000"))
USERS = 50
JOBS = int(os.environ.get("KTRDR_BENCH_JOBS", "100000"))


def main() -> None:
    with own_database():
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
        from tests.operations.lab import Lab

        logging.disable(logging.INFO)
        started = time.process_time()
        day = Lab(WORKERS, USERS, JOBS).run()
        seconds = time.process_time() - started
    name = f"day of {WORKERS:,} workers, {day.jobs:,} operations, {USERS} users"
    print_figure(f"{name}: lost", day.lost, "operations")
    print_figure("doubled", day.doubled, "operations")
    print_figure("attempts lost with their worker", day.losses, "attempts")
    print_figure("failed jobs", day.failures, "operations")
    print_figure("longest queue", day.longest_queue, "operations")
    print_figure("time to the end by that on a private share, worst user", max(day.ratios), "of 1")
    print_figure("the same, median user", statistics.median(day.ratios), "of 1")
    print_figure(
        "processor time of the simulation without its database", 1000 * seconds / day.jobs, "ms each"
    )


if __name__ == "__main__":
    main()
