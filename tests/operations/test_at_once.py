"""Many threads act at the same moment, each with its own connection, on a real PostgreSQL."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.models.functions import Now

from operations import (
    attempts,
    insertion,
    interruptions,
    interventions,
    lifecycle,
    progress,
    reports,
    submission,
)
from operations.actors import Actor
from operations.dispatching import admission, claims
from operations.dispatching.planning import Planner
from operations.kinds.backtesting.trials import count_trials
from operations.models import Attempt, Event, Operation, Trial, TrialCount
from operations.requests import Queueing, Submission
from registry.models import Worker
from tests.claiming import claim_next, start_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.scripted_worker import row_of, worker_at_work
from worker_agent.protocol import Outcome, Report

pytestmark = pytest.mark.django_db(transaction=True)
ME = Actor("user:test")
THREADS = 8
RACES = int(os.environ.get("KTRDR_TEST_RACES", "100"))
"""Of a cancel with a finish; more in a soak."""
T = TypeVar("T")


def at_once(*acts: Callable[[], T]) -> list[T]:
    """Each in a thread of its own, begun together; connections are closed."""
    together = threading.Barrier(len(acts))

    def begin(act: Callable[[], T]) -> T:
        together.wait(10)
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(30) for future in [pool.submit(begin, act) for act in acts]]


def test_one_idempotency_key_from_eight_threads_makes_one_operation() -> None:
    user = User.objects.create_user("researcher")
    by = insertion.Submitter(user, ME, "key-1", "a" * 64)

    def submit() -> str:
        return submission.submit(Submission("echo", {}), by).pk

    assert len(set(at_once(*[submit] * THREADS))) == 1
    assert Operation.objects.count() == Event.objects.count() == 1


def test_two_dispatchers_and_eight_submitters_give_each_worker_and_operation_one_attempt() -> None:
    """lessons W1, W29: 40 operations, 12 workers, all claimed in the thick of the submissions"""
    for _ in range(12):
        WorkerFactory()
    submitted = threading.Semaphore(0)

    def submit() -> list[str]:
        made = [submission.submit(Submission("echo", {}), insertion.Submitter()).pk for _ in range(5)]
        submitted.release()
        return made

    def dispatch() -> list[str]:
        claimed, over = [], False
        while True:
            if some := claims.claim_some(Planner().make_plan(), ME):
                claimed += [claim.operation_id for claim in some]
            elif over:
                return claimed
            else:
                over = submitted.acquire(timeout=10)

    results = at_once(*[submit] * THREADS, dispatch, dispatch)
    claimed = results[-1] + results[-2]
    # A claim passes over rows that the other one holds at that moment; the next round takes them.
    while claim := claim_next(ME):
        claimed.append(claim.operation_id)
    assert len(claimed) == len(set(claimed)) == 12
    assert Attempt.objects.filter(ended_at=None).count() == 12
    assert set(Worker.objects.values_list("status", flat=True)) == {"BUSY"}
    assert Operation.objects.filter(status="PENDING").count() == 28


def test_not_to_wait_from_eight_threads_gives_the_last_worker_to_one_of_them() -> None:
    WorkerFactory()

    def submit() -> str:
        try:
            order = Submission("echo", {}, Queueing(queue=False))
            return submission.submit(order, insertion.Submitter()).status
        except submission.Unavailable:
            return "503"

    assert Counter(at_once(*[submit] * THREADS)) == {"DISPATCHING": 1, "503": THREADS - 1}
    assert Operation.objects.count() == 1


def test_a_cancel_and_a_finish_that_race_have_one_winner_and_one_end() -> None:
    """lessons W8, W10, W24"""
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={})
    WorkerFactory()
    for _ in range(RACES):
        operation = OperationFactory()
        claim = start_next(ME)

        def cancel(operation_id: str = operation.pk) -> str:
            try:
                return interventions.cancel(operation_id, ME).status
            except lifecycle.WrongState:
                return "too late"

        def finish(operation_id: str = operation.pk, worker: str = claim.endpoint.worker_id) -> str:
            return reports.apply(operation_id, worker, report)

        said, verdict = at_once(cancel, finish)
        operation.refresh_from_db()
        assert verdict == "applied"
        assert (said, operation.status) in {("CANCELLING", "CANCELLED"), ("too late", "COMPLETED")}
        assert operation.events.filter(to_status__in=["COMPLETED", "CANCELLED"]).count() == 1
        assert operation.attempts.get().ended_at is not None
    assert Worker.objects.get().status == "AVAILABLE"


def test_a_loss_and_a_finish_that_race_never_end_an_attempt_twice() -> None:
    """lessons W7, W8, W9"""
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={})
    for _ in range(RACES // 5):
        WorkerFactory()
        operation = OperationFactory()
        claim = claim_next(ME)
        assert claim is not None

        def lose(operation_id: str = operation.pk) -> object:
            return interruptions.mark_lost(operation_id, 1, ME, "gone")

        def finish(operation_id: str = operation.pk, worker: str = claim.endpoint.worker_id) -> object:
            return reports.apply(operation_id, worker, report)

        lost, verdict = at_once(lose, finish)
        operation.refresh_from_db()
        assert (lost, verdict, operation.status) in {
            (True, "refused", "PENDING"),
            (False, "applied", "COMPLETED"),
        }
        if not operation.is_final:
            interventions.cancel(operation.pk, ME)


def test_many_who_ask_for_the_progress_of_one_operation_cost_its_worker_one_request(settings: Any) -> None:
    """lesson W31: the others answer from the row, at once"""
    settings.PROGRESS_CACHE_S = 60
    with worker_at_work() as worker:
        row_of(worker)
        operation = OperationFactory()
        assert claim_next(ME) is not None
        worker.runs[operation.pk] = 1
        attempts.accept(operation.pk, 1, ME)

        def ask() -> str:
            return progress.refresh(Operation.objects.get(pk=operation.pk)).status

        answers = [status for _ in range(3) for status in at_once(*[ask] * THREADS)]
    assert set(answers) == {"RUNNING"}
    assert worker.count("GET") == 1


def test_predecessors_that_complete_at_the_same_moment_release_their_follower_once_each() -> None:
    """A diamond of four: three end at once, in different orders of their followers' locks."""
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={})
    for _ in range(RACES // 10):
        first = [submission.submit(Submission("echo", {}), insertion.Submitter()).pk for _ in range(3)]
        followers = [
            submission.submit(
                Submission("echo", {}, Queueing(after=tuple(first[::step]))), insertion.Submitter()
            ).pk
            for step in (1, -1, 1, 2)
        ]
        workers = {}
        for _ in first:
            WorkerFactory()
            claim = claim_next(ME)
            assert claim is not None
            workers[claim.operation_id] = claim.endpoint.worker_id
        at_once(*[partial(reports.apply, operation, worker, report) for operation, worker in workers.items()])
        assert set(Operation.objects.filter(pk__in=followers).values_list("blockers", flat=True)) == {0}
        Operation.objects.all().delete()
        Worker.objects.all().delete()


def test_a_submission_that_races_with_the_end_of_what_it_waits_for_is_counted_right() -> None:
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={})
    WorkerFactory()
    for _ in range(RACES // 5):
        awaited = submission.submit(Submission("echo", {}), insertion.Submitter()).pk
        claim = claim_next(ME)
        assert claim is not None
        order = Submission("echo", {}, Queueing(after=(awaited,)))
        follower, _ = at_once(
            lambda order=order: submission.submit(order, insertion.Submitter()).pk,
            partial(reports.apply, awaited, claim.endpoint.worker_id, report),
        )
        row = Operation.objects.get(pk=follower)
        assert row.blockers == 0
        Operation.objects.all().delete()


def test_a_row_that_is_counted_while_what_it_waits_for_completes_is_counted_right() -> None:
    """Rows of older code have no number: the dispatcher counts them."""
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={})
    for _ in range(RACES // 5):
        WorkerFactory(worker_id="w")
        awaited, follower = OperationFactory(), OperationFactory()
        follower.after.add(awaited)
        Operation.objects.filter(pk=awaited.pk).update(blockers=0)
        admission.store_demands([awaited.pk])
        Operation.objects.filter(pk=follower.pk).update(not_before=Now() + timedelta(hours=1), blockers=None)
        claim = claims.claim_another(awaited.pk, ME)
        assert claim is not None
        at_once(admission.admit_due, partial(reports.apply, awaited.pk, "w", report))
        admission.admit_due()
        follower.refresh_from_db()
        assert follower.blockers == 0
        Operation.objects.all().delete()
        Worker.objects.all().delete()


def test_eight_claims_of_backtests_count_each_trial_once() -> None:
    def count(number: int) -> int:
        parameters = {"symbol": "AAPL", "timeframe": "1d", "seed": number}
        with transaction.atomic():
            return count_trials(OperationFactory(operation_type="backtesting", parameters=parameters))

    numbers = at_once(*[partial(count, number % 4) for number in range(THREADS)])
    assert sorted(set(numbers)) == [1, 2, 3, 4]
    assert TrialCount.objects.get().trials == Trial.objects.count() == 4


NOTE_DURABILITY = """
    CREATE TABLE noted (durability text);
    CREATE FUNCTION note_durability() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO noted VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER note_durability AFTER UPDATE OF status ON operations_operation
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_durability();
    SET synchronous_commit = on
"""
FORGET = """
    DROP TRIGGER note_durability ON operations_operation; DROP FUNCTION note_durability; DROP TABLE noted;
    SET synchronous_commit = off
"""


def test_only_an_acceptance_of_its_own_does_not_wait_for_the_disk() -> None:
    """A lost one is repeated, but a lost claim would give two workers the same attempt."""
    with connection.cursor() as cursor:
        cursor.execute(NOTE_DURABILITY)
        try:
            for is_alone in (True, False):
                operation = OperationFactory()
                WorkerFactory()
                assert claim_next(ME)
                with nullcontext() if is_alone else transaction.atomic():
                    assert attempts.accept(operation.pk, 1, ME)
            cursor.execute("SELECT durability FROM noted")
            assert [row[0] for row in cursor.fetchall()] == ["on", "off", "on", "on"]
        finally:
            cursor.execute(FORGET)
