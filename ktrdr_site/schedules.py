"""Keeps django-q2's schedules on time, and its cluster alive.

Its own loop looks every 30 s and a cluster of it can be dead with every process alive (an idle worker that is
killed keeps the queue's lock). So the scheduler is ticked here each second, and life is judged by the newest
completed health sweep alone.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import psutil
import structlog
from django.conf import settings
from django.db import connection
from django_q.scheduler import scheduler

from ktrdr_site.processes.parent_death import die_with_parent
from operations import tasks
from registry import health, schedules

log = structlog.get_logger(__name__)

LEADER = 0x6B74_7363
"""'ktsc': the advisory lock of who leads."""
TICK_S = 1.0
STOP_GRACE_S = 3.0
LEAST_PATIENCE_S = 6.0
MOST_DOUBLINGS = 4


def patience_s() -> float:
    """How old the newest completed sweep may become before the cluster is started anew: 30 s at every 10 s."""
    return max(LEAST_PATIENCE_S, 3 * settings.HEALTH_INTERVAL_S)


@dataclass(slots=True)
class Cluster:
    """django-q2's cluster as a child. Its main process alone is signalled: told all at once, it may hang."""

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603  (our own command line)
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "qcluster", "--skip-checks"],
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        self.started = time.monotonic()

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """In order, with a bounded wait; then whatever is left of it is killed."""
        if self.process is None:
            return
        family = _family(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
        _, alive = psutil.wait_procs(family, timeout=grace_s)
        for left in alive:
            left.kill()
        psutil.wait_procs(alive, timeout=1.0)
        self.process.wait()
        _kill_group(self.process.pid)
        self.process = None


def _family(pid: int) -> list[psutil.Process]:
    try:
        main = psutil.Process(pid)
        return [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kill_group(group: int) -> None:
    """Orphans of a main process that was killed: they kept its group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@dataclass(slots=True)
class Leader:
    """One of any number: the one that holds the lock ticks; the others wait for it to be free."""

    cluster: Cluster = field(default_factory=Cluster)
    leads: bool = False
    fruitless: int = 0
    """Restarts of the cluster in a row without a sweep between them."""

    def tick(self) -> bool:
        """One second's work; whether this process leads. The loop calls this, and so do tests."""
        if not self._hold_lock():
            if self.leads:
                log.warning("another process leads the schedules now")
                self.cluster.stop()
            self.leads = False
            return False
        if not self.leads:
            log.info("leading the schedules")
            schedules.ensure_schedules(tasks.PERIODIC_TASKS)
            self.leads = True
        self._keep_cluster()
        scheduler()
        return True

    def _hold_lock(self) -> bool:
        """The lock lives as long as the connection; asked anew each time, since the connection may have been lost."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = %s"
                " AND pid = pg_backend_pid() AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
                " OR pg_try_advisory_lock(%s)",
                [LEADER, LEADER],
            )
            row = cursor.fetchone()
        return bool(row and row[0])

    def _keep_cluster(self) -> None:
        if not self.cluster.is_alive:
            if self.cluster.process is not None:
                log.warning(
                    "the task cluster died and is started again", status=self.cluster.process.returncode
                )
                self.cluster.stop()
            self.cluster.start()
            return
        age = health.age_s()
        if self._is_dead(time.monotonic() - self.cluster.started, age):
            log.warning("no sweep has completed for too long; the task cluster is started again", age_s=age)
            self.cluster.stop()
            self.cluster.start()
            self.fruitless += 1

    def _is_dead(self, running_s: float, age_s: float | None) -> bool:
        """Whether the cluster, which has run for so long, will not sweep any more; `age_s` of the newest sweep.

        On a machine so busy that a cluster needs longer than the patience to begin, none would ever begin: so each
        restart that brought no sweep doubles the patience with the next.
        """
        if age_s is not None and age_s < running_s:
            self.fruitless = 0
        patience = patience_s() * 2 ** min(self.fruitless, MOST_DOUBLINGS)
        return running_s > patience and (age_s is None or age_s > patience_s())
