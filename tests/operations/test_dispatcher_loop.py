"""The loop of `run_dispatcher` continues after any failure and logs it."""

import asyncio
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from structlog.testing import capture_logs

from operations.management.commands import run_dispatcher
from operations.management.commands.run_dispatcher import run_rounds


class Rounds:
    """Stands for the dispatcher: each round raises the next of `failures`; the one after the last ends the test."""

    def __init__(self, failures: list[Exception]) -> None:
        self.failures = failures
        self.done = asyncio.Event()
        self.rounds = 0

    async def round(self) -> int:
        self.rounds += 1
        if self.failures:
            raise self.failures.pop(0)
        self.done.set()
        return 0


class NoListener:
    async def __aenter__(self) -> "NoListener":
        return self

    async def __aexit__(self, *error: object) -> None:
        return

    async def wait(self, timeout_s: float) -> bool:
        await asyncio.Event().wait()
        return False


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []

    async def sleep(pause: float) -> None:
        pauses.append(pause)

    async def db(function: Any, *args: Any) -> None:
        return

    monkeypatch.setattr(run_dispatcher, "Listener", NoListener)
    monkeypatch.setattr(run_dispatcher, "db", db)
    monkeypatch.setattr(run_dispatcher.asyncio, "sleep", sleep)
    return pauses


async def play(failures: list[Exception]) -> list[Any]:
    rounds = Rounds(failures)
    with capture_logs() as logs:
        work = asyncio.create_task(run_rounds(rounds, 1.0))  # type: ignore[arg-type]  # stands for it
        await asyncio.wait_for(rounds.done.wait(), 10)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    return logs


async def test_a_defect_is_logged_with_its_traceback_and_the_pauses_grow(pauses: list[float]) -> None:
    logs = await play([KeyError("x") for _ in range(8)])
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert [(line["log_level"], line["exc_info"]) for line in logs] == [("error", True)] * 8


@pytest.mark.parametrize(
    "error",
    [OperationalError("gone"), psycopg.OperationalError("gone"), TimeoutError(), ConnectionResetError()],
)
async def test_an_outage_is_a_warning_and_the_pause_stays_short(
    error: Exception, pauses: list[float]
) -> None:
    logs = await play([error] * 5)
    assert pauses == [1.0] * 5
    assert [line["log_level"] for line in logs] == ["warning"] * 5
