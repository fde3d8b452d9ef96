"""Two lanes, each with its own worker and the same operations, which go through everything that the backend does.

A lane's operations require its worker, so the lanes do not compete. Lane 0 is the one that a test breaks; its calls
from outside (a worker's report, a person's cancel) may raise, as an HTTP 500 would. Those of the other lane may not.
"""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import Any, Self

import pytest
from asgiref.sync import async_to_sync
from django.db.models.functions import Now

from operations import artifacts, interventions, progress, reports
from operations.actors import Actor
from operations.dispatching import workers
from operations.dispatching.dispatcher import Dispatcher
from operations.models import Attempt, Delivery, Operation, StoredFile, Subscription
from operations.notifications import delivery, sending
from registry import cleanup, health, health_checks, registration
from registry.endpoint import Endpoint
from registry.kept_reports import UnreadableReport
from registry.models import Worker
from registry.worker_errors import WorkerInvalid, WorkerRefused, WorkerUncertain
from tests.factories import WorkerFactory
from tests.operations.simulated_agents import Agent, SimulatedClient
from worker_agent.protocol import (
    ArtifactRef,
    CheckpointReport,
    Health,
    LogLine,
    LogsPage,
    MetricPoint,
    MetricsPage,
    OperationType,
    Outcome,
    Report,
    StartRequest,
)

ME = Actor("user:test")
LANES = range(2)
LONG_AGO = timedelta(days=365)
NOON = "2026-01-01T12:00:00Z"


def requirement_of(lane: int) -> dict[str, str]:
    """Return the requirement that only the lane's worker meets."""
    return {"lane": f"lane {lane}"}


class Client(SimulatedClient):
    """Stands for the dispatcher's and the sweeps' client. Some workers are silent, some starts are refused or invalid."""

    def __init__(self, lanes: "Lanes") -> None:
        super().__init__(lanes.agents, iter(()))
        self.lanes = lanes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        return

    async def start(self, worker: Endpoint, start_path: str, request: StartRequest) -> None:
        self.lanes.call("start", worker)
        assert request.task_id is not None
        if request.task_id in self.lanes.refused:
            self.lanes.refused.discard(request.task_id)
            raise WorkerRefused("cannot connect")
        if request.task_id in self.lanes.invalid:
            raise WorkerInvalid("no")
        await super().start(worker, start_path, request)

    async def operation(self, worker: Endpoint, operation_id: str) -> Any:
        self.lanes.call("operation", worker)
        return await super().operation(worker, operation_id)

    async def cancel(self, worker: Endpoint, operation_id: str, attempt: int, reason: str) -> None:
        self.lanes.call("cancel", worker)
        await super().cancel(worker, operation_id, attempt, reason)

    async def health(self, worker: Endpoint) -> Health:
        self.lanes.call("health", worker)
        if worker.worker_id in self.lanes.silent:
            raise WorkerUncertain("no response")
        return self.lanes.agents[worker.worker_id].health()

    async def drain(self, worker: Endpoint) -> None:
        self.lanes.call("drain", worker)


class Lanes:
    """`play()` runs the steps; `ends()` returns the statuses of a lane's operations by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.agents = {f"w{lane}": Agent(f"w{lane}") for lane in LANES}
        self.rows: dict[tuple[int, str], str] = {}
        self.silent: set[str] = set()
        self.refused: set[str] = set()
        self.invalid: set[str] = set()
        self.victims = {"w0", "gone0", requirement_of(0)["lane"]}
        """Everything that identifies the broken lane in the arguments of a function."""
        self.calls: dict[str, Callable[[Endpoint], None]] = {}
        self.step = ""
        """The name of the step that runs."""
        workers._choice_query.cache_clear()  # it calls `selection` only for requirements that are new to this process
        monkeypatch.setattr(health, "WorkerClient", lambda **options: Client(self))
        monkeypatch.setattr(health_checks, "WorkerClient", lambda **options: Client(self))
        monkeypatch.setattr(sending, "_post", self._post)

    async def _post(self, row: Delivery) -> int:
        return 200

    def call(self, name: str, worker: Endpoint) -> None:
        """Let a test break one call to the victim's worker."""
        if name in self.calls:
            self.calls[name](worker)

    # The steps ----------------------------------------------------------------------------------------------

    def play(self, *steps: str) -> None:
        """Run these steps, or all of them, and all that follows from them."""
        Subscription.objects.create(
            name="s",
            channel="webhook",
            target="http://127.0.0.1:1",
            kinds=["operation.completed", "operation.failed", "worker.lost"],
        )
        for name in (FIRST, *(steps or STEPS), *LAST):
            self.step = name
            getattr(self, name)()

    def register_all(self) -> None:
        for lane in LANES:
            self.outside(lane, self.register, lane)
        assert health.sweep() is not None

    def interrupt_and_complete(self) -> None:
        self.submit("resumed")
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self._send_progress, lane)
            self.outside(lane, self._send_checkpoint, lane)
        for lane in LANES:
            self.outside(lane, self.report, lane, Outcome.INTERRUPTED)
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self.report, lane, Outcome.COMPLETED)

    def complete_after_refusal_with_a_follower(self) -> None:
        self.submit("first")
        self.submit("second", after="first")
        self.refused |= {self.rows[lane, "first"] for lane in LANES}
        self.dispatch()
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self.report, lane, Outcome.COMPLETED)
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self.agents[f"w{lane}"].finish, Outcome.COMPLETED)
            self.outside(lane, self.register, lane)

    def reject_parameters(self) -> None:
        self.submit("invalid")
        self.invalid |= {self.rows[lane, "invalid"] for lane in LANES}
        self.dispatch()

    def fail_with_followers(self) -> None:
        self.submit("failing")
        self.submit("follower", after="failing")
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self.report, lane, Outcome.FAILED)

    def cancel_running(self) -> None:
        self.submit("cancelled")
        self.dispatch()
        for lane in LANES:
            self.outside(lane, interventions.cancel, self.rows[lane, "cancelled"], ME)
        self.dispatch()
        for lane in LANES:
            held = self.agents[f"w{lane}"].held
            self.outside(
                lane, lambda lane=lane, held=held: self.deliver_report(lane, *next(iter(held.items())))
            )

    def lose_by_restart_and_fetch_the_report(self) -> None:
        self.submit("restarted")
        self.dispatch()
        for lane in LANES:
            self.agents[f"w{lane}"].restart()
            self.outside(lane, self.register, lane)
        assert health.sweep() is not None  # it verifies the addresses
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self.agents[f"w{lane}"].finish, Outcome.COMPLETED)
        assert health.sweep() is not None
        self.dispatch()
        for lane in LANES:
            self.agents[f"w{lane}"].held.clear()

    def keep_an_unreadable_report(self) -> None:
        self.submit("unreadable")
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self._register_unreadable, lane)

    def forget(self) -> None:
        self.submit("forgotten", max_attempts=1)
        self.dispatch()
        for agent in self.agents.values():
            agent.running = None
            agent.seen.clear()
        assert health.sweep() is not None
        self.dispatch()

    def shut_down_while_running(self) -> None:
        self.submit("moved")
        self.dispatch()
        self.leave()
        for lane in LANES:
            self.agents[f"w{lane}"].restart()
        self.register_all()
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self.report, lane, Outcome.COMPLETED)

    def lose_by_silence_and_stop_the_superseded(self) -> None:
        self.submit("silent")
        self.dispatch()
        self.silent = {f"w{lane}" for lane in LANES}
        for _ in range(3):
            assert health.sweep() is not None
        Worker.objects.filter(pk__in=self.silent).update(unavailable_since=Now() - LONG_AGO)
        assert health.sweep() is not None
        self.silent = set()
        for _ in range(2):
            assert health.sweep() is not None
        for lane in LANES:
            self.outside(lane, self._deliver_late, lane)
        self.dispatch()
        for lane in LANES:
            self.outside(lane, self.report, lane, Outcome.COMPLETED)

    def cancel_waiting_and_retry(self) -> None:
        Worker.objects.filter(pk__in=self.agents).update(cordoned=True)
        self.submit("retried")
        self.dispatch()
        for lane in LANES:
            self.outside(lane, interventions.cancel, self.rows[lane, "retried"], ME)
            self.outside(lane, interventions.retry, self.rows[lane, "retried"], ME)
        Worker.objects.filter(pk__in=self.agents).update(cordoned=False)
        self.dispatch()
        Worker.objects.filter(pk__in=self.agents).update(draining=True, cordoned=True)
        assert health.sweep() is not None
        for lane in LANES:
            self.outside(lane, self.report, lane, Outcome.COMPLETED)
        Worker.objects.filter(pk__in=self.agents).update(draining=False, cordoned=False)

    def leave(self) -> None:
        for lane in LANES:
            self.outside(lane, registration.deregister, f"w{lane}", self.agents[f"w{lane}"].instance_id)

    def deliver(self) -> None:
        """A round with a failure is the last one of its task; the next task goes on."""
        while delivery.deliver_due()["tried"]:
            pass

    def clean_up(self) -> None:
        for lane in LANES:
            WorkerFactory(
                worker_id=f"gone{lane}", status="TEMPORARILY_UNAVAILABLE", unavailable_since=Now() - LONG_AGO
            )
            file = artifacts.put([f"old {lane}".encode()])
            StoredFile.objects.filter(pk=file.pk).update(touched_at=Now() - LONG_AGO)
            if lane == 0:
                self.victims.add(file.pk)
        assert cleanup.cleanup() is not None

    # What they are made of ----------------------------------------------------------------------------------

    def outside(self, lane: int, act: Callable[..., Any], *values: Any) -> None:
        """Run a call from outside the backend; those of the broken lane may fail."""
        with suppress(Exception) if lane == 0 else nullcontext():
            act(*values)

    def submit(self, name: str, after: str = "", max_attempts: int = 3) -> None:
        for lane in LANES:
            row = Operation.objects.create(
                operation_type="echo", requirements=requirement_of(lane), max_attempts=max_attempts
            )
            if after:
                row.after.set([self.rows[lane, after]])
            self.rows[lane, name] = row.pk
            if lane == 0:
                self.victims.add(row.pk)

    def dispatch(self) -> None:
        """Run the rounds that bring all that is due to its next rest."""
        past = Now() - timedelta(seconds=1)

        async def play() -> None:
            dispatcher = Dispatcher()
            dispatcher._client = Client(self)  # type: ignore[assignment]  # stands for it
            await dispatcher.round()
            await dispatcher.drain()

        for _ in range(2):
            Attempt.objects.filter(contact_after__isnull=False).update(contact_after=past)
            Operation.objects.filter(not_before__isnull=False).update(not_before=past)
            Worker.objects.update(last_healthy_at=Now())
            async_to_sync(play)()

    def message_of(self, lane: int) -> Any:
        kind = OperationType(
            operation_type="echo", start_path="/echo/start", parameters_schema={"type": "object"}
        )
        return (
            self.agents[f"w{lane}"]
            .registration()
            .model_copy(
                update={
                    "endpoint_url": f"http://127.0.0.1:{20_000 + lane}",
                    "capabilities": requirement_of(lane),
                    "operation_types": (kind,),
                }
            )
        )

    def register(self, lane: int, unreadable: tuple[UnreadableReport, ...] = ()) -> None:
        agent = self.agents[f"w{lane}"]
        answer = registration.register(self.message_of(lane), None, unreadable)
        for operation_id in answer.acknowledged:
            agent.held.pop(operation_id, None)
        for running in answer.stop_operations:
            agent.stop(running)

    def _register_unreadable(self, lane: int) -> None:
        agent = self.agents[f"w{lane}"]
        operation_id, report = agent.finish(Outcome.COMPLETED)
        agent.held.clear()
        unreadable = UnreadableReport(
            operation_id, report.attempt, report.attempt_secret, "/report/result: no"
        )
        self.register(lane, (unreadable,))

    def report(self, lane: int, outcome: Outcome) -> None:
        operation_id, report = self.agents[f"w{lane}"].finish(outcome)
        file = artifacts.put([b"output"])
        ref = ArtifactRef(name="output.txt", sha256=file.sha256, size=file.size)
        if outcome is Outcome.COMPLETED:
            report = report.model_copy(update={"artifacts": (ref,)})
        self.deliver_report(lane, operation_id, report)

    def deliver_report(self, lane: int, operation_id: str, report: Report) -> None:
        self.agents[f"w{lane}"].held.pop(operation_id, None)
        assert reports.apply(operation_id, f"w{lane}", report) == "applied"

    def _deliver_late(self, lane: int) -> None:
        """Send the report of the attempt that was lost meanwhile."""
        for operation_id, report in self.agents[f"w{lane}"].held.items():
            assert reports.apply(operation_id, f"w{lane}", report) == "refused"
        self.agents[f"w{lane}"].held.clear()

    def _send_progress(self, lane: int) -> None:
        attempt = Attempt.objects.get(worker_id=f"w{lane}", ended_at=None)
        state = self.agents[f"w{lane}"].knows(attempt.operation_id)
        metrics = MetricsPage(
            results=(MetricPoint(seq=1, name="loss", step=1, value=0.5, time=NOON),), next_cursor=1
        )
        logs = LogsPage(results=(LogLine(seq=1, level="info", message="a line", time=NOON),), next_cursor=1)
        progress.store(attempt, state, metrics, logs)

    def _send_checkpoint(self, lane: int) -> None:
        agent = self.agents[f"w{lane}"]
        assert agent.running is not None
        file = artifacts.put([b"state"])
        message = CheckpointReport(
            attempt=agent.running.attempt,
            instance_id=agent.instance_id,
            step=1,
            files=[{"name": "state.json", "sha256": file.sha256, "size": file.size}],
            attempt_secret=agent.secret,
        )
        assert reports.add_checkpoint(agent.running.operation_id, f"w{lane}", message) == "applied"

    # What became of it --------------------------------------------------------------------------------------

    def ends(self, lane: int) -> dict[str, str]:
        rows = dict(Operation.objects.values_list("pk", "status"))
        return {name: rows[key] for (owner, name), key in self.rows.items() if owner == lane}

    def assert_untouched_by_the_break(self) -> None:
        """The other lane has ended as if there were no broken one."""
        for lane in LANES[1:]:
            assert self.ends(lane) == {name: ENDS[name] for owner, name in self.rows if owner == lane}
        keys = [key for (lane, _), key in self.rows.items() if lane]
        assert not Attempt.objects.filter(operation__in=keys, ended_at=None).exists()
        sent = Delivery.objects.filter(payload__data__operation_id__in=keys, state="delivered")
        ended = Operation.objects.filter(pk__in=keys, status__in=("COMPLETED", "FAILED"))
        assert set(ended.values_list("pk", flat=True)) <= {
            row.payload["data"]["operation_id"] for row in sent
        }
        assert not Worker.objects.exclude(pk__in=self.victims).exists(), "deregistered, or cleaned up"
        assert StoredFile.objects.filter(touched_at__lt=Now() - timedelta(days=1)).count() <= 1


FIRST, LAST = "register_all", ("leave", "deliver", "clean_up")
STEPS = (
    "interrupt_and_complete",
    "complete_after_refusal_with_a_follower",
    "reject_parameters",
    "fail_with_followers",
    "cancel_running",
    "lose_by_restart_and_fetch_the_report",
    "keep_an_unreadable_report",
    "forget",
    "shut_down_while_running",
    "lose_by_silence_and_stop_the_superseded",
    "cancel_waiting_and_retry",
)
ENDS = {
    "resumed": "COMPLETED",
    "first": "COMPLETED",
    "second": "COMPLETED",
    "invalid": "FAILED",
    "failing": "FAILED",
    "follower": "FAILED",
    "cancelled": "CANCELLED",
    "restarted": "COMPLETED",
    "unreadable": "FAILED",
    "forgotten": "FAILED",
    "moved": "COMPLETED",
    "silent": "COMPLETED",
    "retried": "COMPLETED",
}
