"""Versions that do not fit together."""

import sys
from collections import defaultdict
from collections.abc import Iterator

from django.db import connection

from ktrdr_site.doctor.finding import Finding, problem, warning
from registry.models import Worker
from worker_agent.protocol import PROTOCOL_VERSION
from worker_agent.version import version

OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRESQL = 14
MAX_NAMES = 5


def python() -> Iterator[Finding]:
    if sys.version_info[:2] < OLDEST_PYTHON:
        have, need = (".".join(map(str, version)) for version in (sys.version_info[:2], OLDEST_PYTHON))
        yield problem(
            "python",
            f"This is Python {have}; KTRDR needs {need} or newer.",
            f"Install Python {need} and create a new virtual environment: make setup PYTHON=python{need}",
        )


def postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        (major,) = cursor.fetchone()
    if major < OLDEST_POSTGRESQL:
        yield problem(
            "postgresql",
            f"The database is PostgreSQL {major}; KTRDR needs {OLDEST_POSTGRESQL} or newer.",
            "Upgrade the server in KTRDR_DATABASE_URL, or unset it to use the embedded one.",
        )


def workers() -> Iterator[Finding]:
    by_version: defaultdict[str, list[str]] = defaultdict(list)
    for worker in Worker.objects.order_by("worker_id"):
        by_version[worker.version].append(worker.worker_id)
        if worker.protocol_problem:
            yield problem(
                "worker versions",
                f"{worker.worker_id} speaks protocol version {worker.protocol_version} and gets no new work; "
                f"this site speaks {PROTOCOL_VERSION} and supports one version before and after it.",
                f"For {worker.worker_id}: {worker.protocol_problem}.",
            )
    builds = "; ".join(
        f"{build or 'unknown'}: {_shorten(names)}" for build, names in sorted(by_version.items())
    )
    if len(by_version) > 1:
        yield warning(
            "worker versions",
            f"The workers run {len(by_version)} versions ({builds}); this site runs {version()}. "
            "Results may depend on the worker.",
            "Update the older ones: drain each, install the new version and restart it.",
        )
    elif by_version and version() not in by_version:
        yield warning(
            "worker versions",
            f"The workers run another version ({builds}) than this site ({version()}).",
            "Update the older side, the site first: drain each worker, install the new version and restart it.",
        )


def _shorten(names: list[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
