"""Keeps django-q2's schedules on time and its cluster alive.

django-q2's own loop checks every 30 s, and its cluster can hang with every process alive (an idle worker that is
killed keeps the queue's lock). So due chores are queued here each second, and only the newest completed health sweep
proves that the cluster works.
"""

import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

import psutil
import structlog
from django.conf import settings
from django.db import connections

from ktrdr_site.task_cluster import run_cluster, start_context
from operations import dispatch_pauses, tasks
from registry import health, leases, schedules

log = structlog.get_logger(__name__)

LEASE = "schedules"
TICK_S = 1.0
LEASE_S = 8.0
"""A leader that has not ticked for this long is replaced. One tick may restart the cluster, which takes up to 4 s."""
STOP_GRACE_S = 3.0
MIN_PATIENCE_S = 6.0
MAX_DOUBLINGS = 4


def patience_s() -> float:
    """Return the age of the newest sweep at which the cluster is restarted: 30 s for an interval of 10 s."""
    return max(MIN_PATIENCE_S, 3 * settings.HEALTH_INTERVAL_S)


@dataclass(slots=True)
class Cluster:
    """django-q2's cluster as a child. Only its main process is signalled: with a signal to all, it may hang."""

    process: BaseProcess | None = None
    started: float = 0.0

    def start(self) -> None:
        connections.close_all()  # a session may not be shared with a forked process
        self.process = start_context().Process(target=run_cluster, args=(os.getpid(),), daemon=False)
        self.process.start()
        self.started = time.monotonic()

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stop the cluster in order, wait a bounded time, and kill the rest."""
        if self.process is None or self.process.pid is None:
            return
        family = _family(self.process.pid)
        if self.process.is_alive():
            self.process.terminate()
        _, alive = psutil.wait_procs(family, timeout=grace_s)
        for survivor in alive:
            survivor.kill()
        psutil.wait_procs(alive, timeout=1.0)
        self.process.join()
        _kill_group(self.process.pid)
        self.process = None


def _family(pid: int) -> list[psutil.Process]:
    try:
        main = psutil.Process(pid)
        return [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kill_group(group: int) -> None:
    """Kill the orphans of a main process that was killed: they are still in its group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@dataclass(slots=True)
class Leader:
    """One of several scheduler processes: the one that holds the lease ticks and renews it, the others wait for its end."""

    cluster: Cluster = field(default_factory=Cluster)
    leads: bool = False
    holder: str = field(default_factory=leases.new_holder)
    fruitless_restarts: int = 0
    """Restarts of the cluster in a row without a sweep in between."""

    def tick(self) -> bool:
        """Do one second's work; return whether this process leads."""
        if not leases.acquire(LEASE, self.holder, LEASE_S):
            if self.leads:
                log.warning("lost the lead of the schedules to another process")
                self.cluster.stop()
            self.leads = False
            return False
        if not self.leads:
            log.info("leading the schedules")
            schedules.ensure_schedules(tasks.PERIODIC_TASKS)
            self.leads = True
        if dispatch_pauses.is_read_only():  # no chore is due, and the age of the newest sweep proves nothing
            return True
        self._keep_cluster()
        schedules.queue_due(tasks.PERIODIC_TASKS)
        return True

    def stop(self) -> None:
        """Stop the cluster and leave the lead to another process at once."""
        self.cluster.stop()
        if self.leads:
            leases.release(LEASE, self.holder)

    def _keep_cluster(self) -> None:
        if not self.cluster.is_alive:
            if self.cluster.process is not None:
                log.warning("task cluster died; restarting it", status=self.cluster.process.exitcode)
                self.cluster.stop()
            self.cluster.start()
            return
        if schedules.is_paused(schedules.HEALTH_SWEEP):  # then the age of the newest sweep proves nothing
            return
        age = health.age_s()
        if self._is_dead(time.monotonic() - self.cluster.started, age):
            log.warning("no health sweep completed for too long; restarting the task cluster", age_s=age)
            self.cluster.stop()
            self.cluster.start()
            self.fruitless_restarts += 1

    def _is_dead(self, running_s: float, age_s: float | None) -> bool:
        """Return whether the cluster, after `running_s`, must be considered dead; `age_s` is that of the newest sweep.

        On a machine so busy that a cluster needs longer than the patience to start, restarts would never end. So each
        restart without a sweep doubles the patience.
        """
        if age_s is not None and age_s < running_s:
            self.fruitless_restarts = 0
        patience = patience_s() * 2 ** min(self.fruitless_restarts, MAX_DOUBLINGS)
        return running_s > patience and (age_s is None or age_s > patience_s())
