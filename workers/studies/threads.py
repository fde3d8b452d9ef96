"""How many threads a job of a study uses."""

import os

MAX_THREADS = 16


def count_threads() -> int:
    """Return the cores that the job may use, at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_THREADS, cores)
