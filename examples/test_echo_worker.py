"""The tests of echo_worker.py: the fixture `running` starts it as a process, without a site."""

from typing import TYPE_CHECKING

from echo_worker import EchoWorker

from worker_agent.protocol import Outcome

if TYPE_CHECKING:
    from worker_agent.testing.running import Running


def test_it_repeats_the_text(running: "Running") -> None:
    run = running(EchoWorker).run({"text": "hello", "times": 3, "pause_s": 0})
    assert run.result == {"echoes": 3}
    assert run.logs == ["hello"] * 3
    assert [point.value for point in run.metrics] == [1.0, 2.0, 3.0]
    assert run.artifacts == {"echo.txt": b"hello\nhello\nhello"}


def test_after_a_cancellation_it_resumes_where_it_stopped(running: "Running") -> None:
    worker = running(EchoWorker)
    operation = worker.start({"text": "hello", "times": 1000, "pause_s": 0.05})
    operation.wait_for_log("hello")
    operation.cancel()
    cancelled = operation.wait()
    assert cancelled.outcome is Outcome.CANCELLED
    assert cancelled.checkpoint is not None
    echoes = cancelled.checkpoint.step
    resumed = worker.run({"text": "hello", "times": echoes + 2, "pause_s": 0}, resume=cancelled.checkpoint)
    assert resumed.result == {"echoes": echoes + 2}
    assert len(resumed.logs) == 2


def test_a_blank_text_is_invalid(running: "Running") -> None:
    assert running(EchoWorker).run({"text": "   "}).error == "The text is blank."
