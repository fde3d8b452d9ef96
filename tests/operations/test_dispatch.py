"""The dispatcher against workers on real sockets and a real database."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from operations import attempts, interruptions, interventions, reports
from operations.actors import Actor
from operations.dispatching.dispatcher import Dispatcher
from operations.models import Attempt, Operation
from registry.models import Worker
from tests.calibration import stretched
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.scripted_worker import ScriptedWorker, never, row_of, says, serving
from worker_agent.protocol import Outcome, Report

pytestmark = pytest.mark.django_db
ME = Actor("user:test")


def with_workers(number: int, act: Callable[..., Awaitable[Any]]) -> Any:
    """Runs `act(dispatcher, *workers)`; the database is used in this thread, in the test's own transaction."""

    async def play() -> Any:
        async with AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(serving(ScriptedWorker())) for _ in range(number)]
            for worker in workers:
                await sync_to_async(row_of)(worker)
            dispatcher = await stack.enter_async_context(Dispatcher())
            return await act(dispatcher, *workers)

    return async_to_sync(play)()


async def work(dispatcher: Dispatcher) -> None:
    await dispatcher.round()
    await dispatcher.drain()


def due() -> None:
    """The moment at which workers are asked again has come."""
    attempts.schedule_contact(Attempt.objects.all())


def test_an_operation_is_claimed_pushed_and_runs_until_its_report() -> None:
    operation = OperationFactory(parameters={"text": "hello"})

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)
        assert worker.started[0]["parameters"] == {"text": "hello"}

    with_workers(1, act)
    operation.refresh_from_db()
    assert (operation.status, operation.attempt) == ("RUNNING", 1)
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={"answer": 42})
    assert reports.apply(operation.pk, operation.worker_id, report) == "applied"
    operation.refresh_from_db()
    assert (operation.status, operation.result) == ("COMPLETED", {"answer": 42})
    assert Worker.objects.get().status == "AVAILABLE"
    assert [e.to_status for e in operation.events.all()] == ["DISPATCHING", "RUNNING", "COMPLETED"]


def test_a_busy_worker_is_passed_over_for_another_one_at_once() -> None:
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, first: ScriptedWorker, second: ScriptedWorker) -> None:
        first.on_start = says(503, {"current_operation": "somebody-elses"})
        await work(dispatcher)
        assert (len(first.asked), len(second.started)) == (1, 1)

    with_workers(2, act)
    operation.refresh_from_db()
    assert (operation.status, operation.attempt) == ("RUNNING", 2)
    assert [a.outcome for a in operation.attempts.all()] == ["rejected", ""]
    assert interruptions.count_lost(operation) == 0, "a rejection uses up no attempt"


def test_after_four_busy_workers_a_queued_operation_waits_on() -> None:
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, *workers: ScriptedWorker) -> None:
        for worker in workers:
            worker.on_start = says(503, {"current_operation": None})
        await work(dispatcher)
        assert sum(len(worker.asked) for worker in workers) == 4

    with_workers(6, act)
    operation.refresh_from_db()
    assert operation.status == "PENDING"


def test_an_operation_that_is_not_to_wait_fails_when_nobody_took_it() -> None:
    operation = OperationFactory(queue=False)

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        worker.on_start = says(503, {"current_operation": "other"})
        await work(dispatcher)

    with_workers(1, act)
    operation.refresh_from_db()
    assert (operation.status, operation.error_class) == ("FAILED", "lost")
    assert "busy with other" in operation.error_message


def test_a_start_without_an_answer_is_asked_about_and_never_sent_to_another_worker(settings: Any) -> None:
    """The outcome is not known: the operation stays DISPATCHING until the worker says."""
    settings.HEALTH_TIMEOUT_S = stretched(0.3)
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, first: ScriptedWorker, second: ScriptedWorker) -> None:
        first.on_start = never
        await work(dispatcher)
        assert (await Operation.objects.aget()).status == "DISPATCHING"
        first.runs[operation.pk] = 1  # it had got the start after all
        await sync_to_async(due)()
        await work(dispatcher)
        assert not second.asked

    with_workers(2, act)
    operation.refresh_from_db()
    assert (operation.status, operation.attempt) == ("RUNNING", 1)


def test_a_start_that_did_not_arrive_is_sent_once_more_under_the_same_fence(settings: Any) -> None:
    settings.HEALTH_TIMEOUT_S = stretched(0.3)
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        worker.on_start = never
        await work(dispatcher)
        worker.on_start = None
        await sync_to_async(due)()
        await work(dispatcher)
        assert [start["attempt"] for start in worker.started] == [1]

    with_workers(1, act)
    operation.refresh_from_db()
    assert (operation.status, operation.attempt) == ("RUNNING", 1)


def test_a_dispatcher_that_dies_after_its_claim_is_replaced_by_another_one() -> None:
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        claimed = await sync_to_async(claim_next)(ME)  # and then it dies
        assert claimed is not None
        await work(dispatcher)
        assert not worker.asked, "the lease of the dead one is not over"
        await sync_to_async(due)()
        await work(dispatcher)
        assert len(worker.started) == 1

    with_workers(1, act)
    operation.refresh_from_db()
    assert operation.status == "RUNNING"


def test_a_refused_connection_moves_on() -> None:
    WorkerFactory(worker_id="aaa-gone", endpoint_url="http://127.0.0.1:1")
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)

    with_workers(1, act)
    operation.refresh_from_db()
    assert operation.status == "RUNNING"
    assert operation.worker_id != "aaa-gone"


def test_parameters_that_the_worker_refuses_fail_the_operation_at_once() -> None:
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, *workers: ScriptedWorker) -> None:
        for worker in workers:
            worker.on_start = says(422, {"detail": "seconds: not a number"})
        await work(dispatcher)
        assert sum(len(worker.asked) for worker in workers) == 1

    with_workers(2, act)
    operation.refresh_from_db()
    assert (operation.status, operation.error_class) == ("FAILED", "invalid")
    assert "seconds: not a number" in operation.error_message


def test_a_cancelled_operation_is_told_until_its_worker_reports() -> None:
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)
        await sync_to_async(interventions.cancel)(operation.pk, ME, "no longer wanted")
        await work(dispatcher)
        assert worker.count("DELETE") == 1
        await sync_to_async(due)()
        await work(dispatcher)
        assert worker.count("DELETE") == 2

    with_workers(1, act)
    report = Report(attempt=1, instance_id="any", outcome=Outcome.CANCELLED)
    reports.apply(operation.pk, Operation.objects.get().worker_id, report)
    operation.refresh_from_db()
    assert operation.status == "CANCELLED"


def test_a_cancelled_operation_that_its_worker_does_not_know_is_cancelled() -> None:
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)
        worker.runs.clear()
        await sync_to_async(interventions.cancel)(operation.pk, ME)
        await work(dispatcher)

    with_workers(1, act)
    operation.refresh_from_db()
    assert operation.status == "CANCELLED"


def test_what_its_worker_has_forgotten_is_lost_and_runs_again(settings: Any) -> None:
    settings.RETRY_BACKOFF_S = 0
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)
        worker.runs.clear()
        await sync_to_async(due)()
        await work(dispatcher)

    with_workers(1, act)
    operation.refresh_from_db()
    assert operation.status == "PENDING"
    assert operation.attempts.get().outcome == "lost"


def test_a_finished_operation_whose_report_never_came_is_found_by_asking() -> None:
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        await work(dispatcher)
        worker.reports[operation.pk] = Report(
            attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={"found": True}
        )
        await sync_to_async(due)()
        await work(dispatcher)

    with_workers(1, act)
    operation.refresh_from_db()
    assert (operation.status, operation.result) == ("COMPLETED", {"found": True})


HOSTILE = {
    "HTML": says(200, text="<html><body>It works!</body></html>"),
    "another id": says(200, {"operation_id": "somebody-elses"}),
    "a server error": says(500, text="Traceback (most recent call last)"),
    "NaN": says(200, text='{"operation_id": NaN}'),
    "17 MB": says(200, text="[" + "1," * 9_000_000 + "1]"),
    "nothing": says(200, text=""),
    "a list": says(200, []),
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_to_a_start_and_to_the_question_after_it_is_the_workers_failure(answer: Any) -> None:
    operation = OperationFactory()

    async def act(dispatcher: Dispatcher, worker: ScriptedWorker) -> None:
        worker.on_start = worker.on_ask = answer
        await work(dispatcher)
        assert (await Operation.objects.aget()).status == "DISPATCHING"
        await sync_to_async(due)()
        await work(dispatcher)

    with_workers(1, act)
    operation.refresh_from_db()
    attempt = operation.attempts.get()
    assert (operation.status, attempt.outcome) == ("PENDING", "lost")
    assert "worker misbehaved" in attempt.error
