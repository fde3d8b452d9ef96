"""Versions that do not fit together."""

import sys
from collections import defaultdict
from collections.abc import Iterator

from django.db import connection

from ktrdr_site.doctor.finding import Finding, problem, warning
from registry.models import Worker
from worker_agent.protocol import PROTOCOL_VERSION

OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRESQL = 14
SHOWN = 5


def python() -> Iterator[Finding]:
    if sys.version_info[:2] < OLDEST_PYTHON:
        have, need = (".".join(map(str, one)) for one in (sys.version_info[:2], OLDEST_PYTHON))
        yield problem(
            "python",
            f"This is Python {have}; KTRDR needs {need} or newer.",
            f"Install Python {need} and make a new virtual environment: make setup PYTHON=python{need}",
        )


def postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        (major,) = cursor.fetchone()
    if major < OLDEST_POSTGRESQL:
        yield problem(
            "postgresql",
            f"The database is PostgreSQL {major}; KTRDR needs {OLDEST_POSTGRESQL} or newer.",
            "Upgrade the server that KTRDR_DATABASE_URL names, or unset it to use the embedded one.",
        )


def workers() -> Iterator[Finding]:
    by_version: defaultdict[str, list[str]] = defaultdict(list)
    for worker in Worker.objects.order_by("worker_id"):
        by_version[worker.version].append(worker.worker_id)
        if worker.protocol_problem:
            yield problem(
                "worker versions",
                f"{worker.worker_id} speaks protocol version {worker.protocol_version} and gets no new work; "
                f"this site speaks {PROTOCOL_VERSION}, and works with one version before and after it.",
                f"Of {worker.worker_id}: {worker.protocol_problem}.",
            )
    if len(by_version) > 1:
        said = "; ".join(
            f"{version or 'unknown'}: {_some(names)}" for version, names in sorted(by_version.items())
        )
        yield warning(
            "worker versions",
            f"The workers are of {len(by_version)} versions ({said}): results may depend on which one is chosen.",
            "Update the older ones: drain each, install, start it again.",
        )


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
