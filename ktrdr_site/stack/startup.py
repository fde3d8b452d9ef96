"""Waits until everything that `up` started is ready, and shows each with the time it took."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import Error, connection

from ktrdr_site.observability.readiness import missing_dispatcher, stale_sweep
from ktrdr_site.stack.services import Plan
from ktrdr_site.stack.terminal import Terminal
from registry.models import Worker

POLL_S = 0.25
PATIENCE_S = 60.0


@dataclass(slots=True)
class Startup:
    """The processes that are ready some time after the web server."""

    plan: Plan
    terminal: Terminal
    previous_instances: dict[str, str] = field(default_factory=dict)
    """Instance ids by worker id from before this start: a worker that has registered since has another."""
    workers_started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all workers have registered, or a minute after the start."""
    _pending: list[str] = field(default_factory=list)
    _query: asyncio.Future[tuple[set[str], set[str]]] | None = None

    def begin(self, names: Iterable[str]) -> None:
        for name in names:
            self.terminal.begin(name)
            self._pending.append(name)

    async def wait(self) -> None:
        """Show what is ready until all of it is; after a minute show what is not, and return."""
        deadline = time.monotonic() + PATIENCE_S
        while self._pending and time.monotonic() < deadline:
            self._query = asyncio.ensure_future(asyncio.to_thread(_look, self.previous_instances))
            ready, registered = await asyncio.shield(self._query)
            for name in ready.intersection(self._pending):
                self._finish(name, "ready")
            if "workers" in self._pending:
                self._show_workers(registered)
            if self._pending:
                await asyncio.sleep(POLL_S)
        for name in tuple(self._pending):
            self._finish(name, "not yet", f"logs in {self.plan.log_dir}")

    async def settle(self) -> None:
        """Wait for a query that was under way when `wait` was cancelled: it uses the database."""
        if self._query is not None:
            await asyncio.wait([self._query])

    def _show_workers(self, registered: set[str]) -> None:
        expected = self.plan.worker_names
        if registered.issuperset(expected):
            self._finish("workers", "ready", ", ".join(expected))
        else:
            count = len(registered.intersection(expected))
            self.terminal.update("workers", None, f"{count} of {len(expected)} registered")

    def _finish(self, name: str, state: str, details: str = "") -> None:
        self.terminal.finish(name, state, details)
        self._pending.remove(name)
        if name == "workers":
            self.workers_started.set()


def _look(previous_instances: dict[str, str]) -> tuple[set[str], set[str]]:
    """Return which of schedules and dispatcher work, and the workers that have registered since."""
    problems = {"schedules": stale_sweep, "dispatcher": missing_dispatcher}
    try:
        ready = {name for name, find_problem in problems.items() if find_problem() is None}
        instances = Worker.objects.values_list("worker_id", "instance_id")
        return ready, {name for name, instance in instances if previous_instances.get(name) != instance}
    except Error:  # the database is not reachable at the moment
        return set(), set()
    finally:
        connection.close()
