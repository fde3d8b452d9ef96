"""The services under every order of events that Hypothesis can think of, on a real PostgreSQL.

Agents and the network are simulated; dispatcher, lifecycle, reports, recovery and the database are the real ones.
Whatever happens, what the rules of the design promise holds after each step; and once the faults stop, every
operation comes to its end.
"""

import itertools
import os
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from access.problems import Invalid, Unavailable
from operations import artifacts, insertion, interruptions, interventions, lifecycle, reports, submission
from operations.actors import Actor
from operations.dispatching import follow_ups
from operations.dispatching.dispatcher import Dispatcher
from operations.models import Attempt, Checkpoint, Event, Operation
from operations.registry_adapter import RegistryAdapter
from operations.requests import Queueing, Submission
from operations.states import ACTIVE, FINAL, TRANSITIONS, Status
from registry.models import Worker, WorkerStatus
from tests.claiming import claim_next
from tests.factories import WorkerFactory
from tests.operations.simulated_agents import Agent, Fault, SimulatedClient
from tests.rolled_back import RolledBackMachine
from worker_agent.protocol import CheckpointReport, Health, Outcome, Report

EXAMPLES = int(os.environ.get("KTRDR_TEST_EXAMPLES", "40"))
"""Runs of the machine; more in a soak."""
ME = Actor("user:test")
WORKERS = ("w1", "w2", "w3")
ADAPTER = RegistryAdapter()
faults = st.lists(st.sampled_from(Fault), max_size=4)


class Operations(RolledBackMachine):
    submitted = Bundle("submitted")
    sent = Bundle("sent")
    """Reports that were sent once, and may arrive at any time, again, and in any order."""
    answers = Bundle("answers")
    """Health answers that were given once, and may be applied late."""

    def __init__(self) -> None:
        super().__init__()
        self.agents: dict[str, Agent] = {}
        self.ended: dict[str, tuple[str, Any]] = {}
        self.fences: dict[str, int] = {}
        self.taken_for_lost = False
        """A worker was called lost while it works: two may run the same operation, under different fences."""

    @initialize()
    def register_workers(self) -> None:
        for worker_id in WORKERS:
            agent = self.agents[worker_id] = Agent(worker_id)
            WorkerFactory(
                worker_id=worker_id, instance_id=agent.instance_id, endpoint_url=f"http://{worker_id}"
            )

    # What people do ------------------------------------------------------------------------------------------

    @rule(target=submitted, queue=st.booleans(), data=st.data())
    def submit(self, queue: bool, data: st.DataObject) -> Any:
        known = list(Operation.objects.order_by("created_at", "pk").values_list("pk", flat=True))
        # Positions, not ids: those are random, and what is drawn must be the same when Hypothesis repeats it.
        positions = data.draw(st.sets(st.integers(0, len(known) - 1), max_size=2)) if known else set()
        after = tuple(known[position] for position in sorted(positions))
        order = Submission("echo", {}, Queueing(queue=queue, after=after))
        try:
            return submission.submit(order, insertion.Submitter()).pk
        except (Invalid, Unavailable):
            return multiple()

    @rule(operation_id=submitted)
    def cancel(self, operation_id: str) -> None:
        try:
            interventions.cancel(operation_id, ME)
        except lifecycle.WrongState:
            assert Operation.objects.get(pk=operation_id).is_final

    @rule(operation_id=submitted, resume=st.booleans())
    def again(self, operation_id: str, resume: bool) -> None:
        before = Operation.objects.get(pk=operation_id)
        try:
            (interventions.resume if resume else interventions.retry)(operation_id, ME)
        except lifecycle.WrongState:
            has_checkpoint = Checkpoint.objects.filter(operation=operation_id).exists()
            waits_in_vain = before.after.filter(status__in=["FAILED", "CANCELLED"]).exists()
            has_ended = before.status in ("FAILED", "CANCELLED")
            assert not has_ended or waits_in_vain or (resume and not has_checkpoint)
        else:
            self.ended.pop(operation_id, None)

    # What the backend does -----------------------------------------------------------------------------------

    @rule(failing=faults)
    def dispatch(self, failing: list[Fault]) -> None:
        if Fault.GARBAGE in failing:
            self.taken_for_lost = True
        self._dispatch(failing)

    def _dispatch(self, failing: list[Fault]) -> None:
        async def play() -> None:
            dispatcher = Dispatcher()
            dispatcher._client = SimulatedClient(self.agents, iter(failing))  # type: ignore[assignment]  # stands for it
            await dispatcher.round()
            await dispatcher.drain()

        async_to_sync(play)()

    @rule()
    def dispatcher_dies_after_a_claim(self) -> None:
        claim_next(ME)

    @rule()
    def dispatcher_dies_before_it_asks(self) -> None:
        follow_ups.lease_due()

    @rule()
    def time_passes(self) -> None:
        """Leases and backoffs are over."""
        past = Now() - timedelta(seconds=1)
        Attempt.objects.filter(contact_after__isnull=False).update(contact_after=past)
        Operation.objects.filter(not_before__isnull=False).update(not_before=past)

    @rule(target=answers, worker_id=st.sampled_from(WORKERS))
    def health_is_asked(self, worker_id: str) -> Health:
        return self.agents[worker_id].health()

    @rule(health=answers)
    def health_answer_arrives(self, health: Health) -> None:
        for worker_id, stops in ADAPTER.reconcile_health({health.worker_id: health}).items():
            for stop in stops:
                self.agents[worker_id].stop(stop)
        status = WorkerStatus.BUSY if health.current_operation else WorkerStatus.AVAILABLE
        Worker.objects.filter(pk=health.worker_id, instance_id=health.instance_id).update(
            status=status, last_healthy_at=Now()
        )

    @rule(worker_id=st.sampled_from(WORKERS))
    def a_worker_is_called_lost(self, worker_id: str) -> None:
        """It may be alive: only the network to it was gone."""
        if self.agents[worker_id].running is not None:
            self.taken_for_lost = True
        ADAPTER.mark_lost({worker_id: self.agents[worker_id].instance_id}, "no answer for 90 s")

    @rule()
    def cleanup(self) -> None:
        artifacts.remove_unreferenced()

    # What workers do -----------------------------------------------------------------------------------------

    @rule(worker_id=st.sampled_from(WORKERS), restart=st.booleans())
    def a_worker_registers(self, worker_id: str, restart: bool) -> None:
        agent = self.agents[worker_id]
        if restart:
            agent.restart()
        Worker.objects.filter(pk=worker_id).update(instance_id=agent.instance_id, registered_at=Now())
        registration = agent.registration()
        reconciled = ADAPTER.reconcile_registration(Worker.objects.get(pk=worker_id), registration, ())
        Worker.objects.filter(pk=worker_id).update(status=reconciled.status)
        for operation_id in reconciled.acknowledged:
            agent.held.pop(operation_id)
        for stop in reconciled.stop_operations:
            agent.stop(stop)

    @rule(worker_id=st.sampled_from(WORKERS), step=st.integers(1, 3))
    @precondition(lambda self: any(agent.running for agent in self.agents.values()))
    def a_checkpoint_is_sent(self, worker_id: str, step: int) -> None:
        running = self.agents[worker_id].running
        if running is None:
            return
        file = artifacts.put([f"state {step}".encode()])
        message = CheckpointReport(
            attempt=running.attempt,
            instance_id=self.agents[worker_id].instance_id,
            step=step,
            files=[{"name": "state.json", "sha256": file.sha256, "size": file.size}],
        )
        current = self._is_current(running.operation_id, running.attempt)
        status = reports.add_checkpoint(running.operation_id, worker_id, message)
        assert (status is reports.ReportStatus.REFUSED) is not current

    @rule(target=sent, worker_id=st.sampled_from(WORKERS), outcome=st.sampled_from(Outcome))
    @precondition(lambda self: any(agent.running for agent in self.agents.values()))
    def a_job_ends(self, worker_id: str, outcome: Outcome) -> Any:
        agent = self.agents[worker_id]
        if agent.running is None:
            return multiple()
        operation_id, report = agent.finish(outcome)
        return worker_id, operation_id, report

    @rule(message=sent)
    def a_report_arrives(self, message: tuple[str, str, Report]) -> None:
        worker_id, operation_id, report = message
        before = self._rows(operation_id)
        current = self._is_current(operation_id, report.attempt)
        status = reports.apply(operation_id, worker_id, report)
        assert (status is reports.ReportStatus.APPLIED) is current
        if status is not reports.ReportStatus.APPLIED:
            assert self._rows(operation_id) == before, "a write with an old fence changes nothing"
        self.agents[worker_id].held.pop(operation_id, None)

    def _is_current(self, operation_id: str, attempt: int) -> bool:
        rows = Attempt.objects.filter(operation=operation_id, number=attempt, ended_at=None)
        return rows.filter(operation__attempt=attempt).exists()

    def _rows(self, operation_id: str) -> Any:
        return (
            Operation.objects.filter(pk=operation_id).values().get(),
            list(Attempt.objects.filter(operation=operation_id).values()),
        )

    # What holds always ---------------------------------------------------------------------------------------

    @invariant()
    def active_means_one_attempt_under_the_current_fence(self) -> None:
        """Lesson W26: the active attempt is the slot. Lesson W29: one operation at a time on a worker."""
        active = {row.operation_id: row for row in Attempt.objects.filter(ended_at=None)}
        workers = [row.worker_id for row in active.values()]
        assert len(workers) == len(set(workers))
        for operation in Operation.objects.all():
            assert (operation.status in ACTIVE) is (operation.pk in active), operation.status
            if operation.pk in active:
                assert active[operation.pk].number == operation.attempt

    @invariant()
    def fences_grow_and_attempts_stay_within_the_maximum(self) -> None:
        """Lesson W6: a loss uses up an attempt; rejections and planned interruptions do not."""
        for operation in Operation.objects.all():
            assert operation.attempt >= self.fences.get(operation.pk, 0)
            self.fences[operation.pk] = operation.attempt
            assert interruptions.count_lost(operation) <= operation.max_attempts

    @invariant()
    def ended_is_final(self) -> None:
        """Lessons W8, W9, W10: finish, reap, cancel and late duplicates compete on one row."""
        for operation in Operation.objects.filter(status__in=FINAL):
            end = (operation.status, operation.result)
            assert self.ended.setdefault(operation.pk, end) == end
        for operation_id, (status, _) in self.ended.items():
            assert Operation.objects.get(pk=operation_id).status == status

    @invariant()
    def every_change_of_status_has_its_event(self) -> None:
        for operation in Operation.objects.all():
            chain = list(Event.objects.filter(operation=operation, kind="status").order_by("pk"))
            assert chain[0].from_status == ""
            for earlier, later in itertools.pairwise(chain):
                assert later.from_status == earlier.to_status
                assert later.to_status in TRANSITIONS[Status(later.from_status)]
            assert chain[-1].to_status == operation.status

    @invariant()
    def blockers_count_what_has_not_completed(self) -> None:
        for operation in Operation.objects.all():
            assert operation.blockers == operation.after.exclude(status="COMPLETED").count()

    @invariant()
    def no_operation_starts_before_the_ones_it_waits_for(self) -> None:
        for operation in Operation.objects.filter(status__in=["DISPATCHING", "RUNNING", "COMPLETED"]):
            assert not operation.after.exclude(status="COMPLETED").exists()

    @invariant()
    def no_operation_runs_twice_at_the_same_time(self) -> None:
        """Lesson W1. Under one fence never; at all, unless a living worker was taken for a dead one."""
        running = [agent.running for agent in self.agents.values() if agent.running is not None]
        assert len(set(running)) == len(running)
        if not self.taken_for_lost:
            names = [one.operation_id for one in running]
            assert len(names) == len(set(names))

    @invariant()
    def nothing_active_is_without_a_reason(self) -> None:
        """Somebody will speak to its worker, or the worker runs or holds it, or an incarnation is to be replaced."""
        for attempt in Attempt.objects.filter(ended_at=None):
            agent = self.agents[attempt.worker_id]
            runs = agent.running is not None and agent.running.operation_id == attempt.operation_id
            assert (
                attempt.contact_after is not None
                or runs
                or attempt.operation_id in agent.held
                or agent.instance_id != attempt.instance_id
                or attempt.started_at is not None  # the next health answer asks
            )

    # And in the end ------------------------------------------------------------------------------------------

    def faults_stop(self) -> None:
        """Lesson W11: nothing is RUNNING for ever. Every operation ends once the faults are over."""
        for _ in range(40):
            if not Operation.objects.exclude(status__in=FINAL).exists():
                break
            for worker_id, agent in self.agents.items():
                if Worker.objects.get(pk=worker_id).instance_id != agent.instance_id:
                    self.a_worker_registers(worker_id, restart=False)
                self.health_answer_arrives(agent.health())
                for operation_id, report in list(agent.held.items()):
                    self.a_report_arrives((worker_id, operation_id, report))
            self.time_passes()
            self._dispatch([])
            for agent in self.agents.values():
                if agent.running is not None:
                    agent.finish(Outcome.COMPLETED)
        stuck = Operation.objects.exclude(status__in=FINAL)
        assert not stuck, list(stuck.values("pk", "status", "waiting_reason", "attempt"))
        self.ended_is_final()


@pytest.mark.django_db
def test_whatever_happens_in_whatever_order_the_rules_hold() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # Hypothesis has no types here
        Operations,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
