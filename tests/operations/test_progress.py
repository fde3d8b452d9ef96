"""Progress is pulled from the worker for people who watch, and no worker can hold their threads."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from aiohttp import web
from django.core.management import call_command
from django.db import connections
from django.db.models.functions import Now
from rest_framework.test import APIClient

from operations import attempts, progress, waiting_threads
from operations.actors import Actor
from operations.models import Operation
from registry import bounded_calls
from registry.models import Worker
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.operations.scripted_worker import ScriptedWorker, never, row_of, worker_at_work
from worker_agent.protocol import Progress

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
WATCHED_AT_ONCE = waiting_threads.MOST


async def drip(request: web.Request) -> web.StreamResponse:
    """A response whose next byte is always about to come."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


@pytest.fixture
def worker(settings: Any) -> Iterator[ScriptedWorker]:
    settings.PROGRESS_CACHE_S = 0.0
    with worker_at_work() as worker:
        row_of(worker)
        worker.progress = Progress(percentage=40.0)
        yield worker


@pytest.fixture
def operation(worker: ScriptedWorker) -> Operation:
    return start(worker)


def start(worker: ScriptedWorker) -> Operation:
    """Return an operation that runs on the worker."""
    operation = OperationFactory()
    assert claim_next(ME) is not None
    worker.runs[operation.pk] = 1
    attempts.accept(operation.pk, 1, ME)
    operation.refresh_from_db()
    return operation


def test_the_worker_is_asked_and_the_row_updated(
    operation: Operation, api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PROGRESS_CACHE_S = 60.0
    monkeypatch.setattr(bounded_calls, "WAIT_S", 30.0)
    shown = api.get(f"/operations/{operation.pk}").json()["progress"]
    assert (shown["percentage"], shown["stale"]) == (40.0, False)


def test_the_list_of_the_command_shows_the_progress_of_its_worker(
    operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_calls, "WAIT_S", 30.0)
    lines = StringIO()
    call_command("list_operations", stdout=lines)
    (row,) = (line.split() for line in lines.getvalue().splitlines() if operation.pk in line)
    assert row[3] == "40"


@pytest.mark.parametrize("answer", [never, drip], ids=["silent", "drips"])
def test_a_worker_that_does_not_finish_its_response_is_left_and_not_asked_again_at_once(
    answer: Callable[..., Any], worker: ScriptedWorker, operation: Operation, api: APIClient
) -> None:
    """The request returns while the worker still answers: nothing but the limit ends the wait."""
    assert bounded_calls.WAIT_S <= 0.5
    worker.on_ask = answer
    for _ in range(3):
        shown = api.get(f"/operations/{operation.pk}").json()
        assert (shown["status"], shown["progress"]["stale"]) == ("RUNNING", True)
    assert worker.count("GET") == 1
    worker.on_ask = None
    Operation.objects.update(progress_asked_at=Now() - timedelta(seconds=1))
    progress.refresh(operation)
    assert worker.count("GET") > 1


def test_a_host_name_that_does_not_resolve_holds_nobody(
    worker: ScriptedWorker, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_over, resolving = threading.Event(), threading.Event()
    resolve = socket.getaddrinfo

    def hang(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in ("slow.example", b"slow.example"):
            resolving.set()
            assert is_over.wait(60)
            raise OSError
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    operation.attempts.update(endpoint_url="http://slow.example:5003")
    try:
        assert progress.refresh(operation).status == "RUNNING"
        assert resolving.is_set()
    finally:
        is_over.set()


def test_an_unavailable_worker_is_not_asked(worker: ScriptedWorker, operation: Operation) -> None:
    Worker.objects.update(status="TEMPORARILY_UNAVAILABLE", unavailable_since=Now())
    assert progress.refresh(operation).status == "RUNNING"
    assert worker.count("GET") == 0


@pytest.mark.django_db(transaction=True)
def test_people_who_watch_operations_of_hanging_workers_hold_a_few_threads_only(
    worker: ScriptedWorker, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_calls, "WAIT_S", 60.0)
    others = [operation]
    for _ in range(WATCHED_AT_ONCE):
        WorkerFactory(endpoint_url=worker.url)
        others.append(start(worker))
    *hanging, healthy = others
    asked, is_over = threading.Semaphore(0), threading.Event()

    async def hang(attempt: Any) -> Any:
        asked.release()
        await asyncio.to_thread(is_over.wait, 60)
        return await fetch(attempt)

    def watch(operation: Operation) -> str:
        try:
            return progress.refresh(operation).status
        finally:
            connections.close_all()

    fetch = progress._fetch
    monkeypatch.setattr(progress, "_fetch", hang)
    with ThreadPoolExecutor(WATCHED_AT_ONCE) as pool:
        watching = [pool.submit(watch, one) for one in hanging]
        for _ in hanging:
            assert asked.acquire(timeout=30)
        # All places are taken: other threads continue at once, without a request to a worker.
        assert progress.refresh(healthy) is healthy
        assert not asked.acquire(blocking=False)
        assert not any(future.done() for future in watching)
        is_over.set()
        assert {future.result(30) for future in watching} == {"RUNNING"}
    monkeypatch.setattr(progress, "_fetch", fetch)
    progress.refresh(healthy)
    assert healthy.progress_updated_at is not None


def test_a_forked_process_has_a_loop_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent's loop has no thread there."""

    async def answer() -> int:
        return 7

    monkeypatch.setattr(bounded_calls, "WAIT_S", 30.0)
    assert bounded_calls.call(answer) == 7
    (loop,) = bounded_calls._loops.values()
    monkeypatch.setattr(bounded_calls, "_loops", {0: loop})
    assert bounded_calls.call(answer) == 7
    assert loop not in bounded_calls._loops.values()


def test_an_operation_that_ends_and_is_deleted_while_its_worker_is_asked_is_unknown(
    worker: ScriptedWorker, operation: Operation, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = bounded_calls.call

    def delete_after_it(*arguments: Any) -> Any:
        answer = call(*arguments)
        Operation.objects.update(status="COMPLETED", completed_at=Now(), deleted_at=Now())
        return answer

    monkeypatch.setattr(bounded_calls, "call", delete_after_it)
    assert api.get(f"/operations/{operation.pk}").status_code == 404
