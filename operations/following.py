"""Follows an operation until it ends: with a progress bar on a terminal, with plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from operations import progress
from operations.models import Operation
from operations.printed_results import result_lines
from operations.states import Status
from operations.waiting import explain_wait
from worker_agent.visible_text import drawing_stream, one_line, visible

POLL_S = 0.5
EXIT = {Status.COMPLETED: 0, Status.FAILED: 1, Status.CANCELLED: 3}
DETACHED = 130
"""128 plus the number of SIGINT, like shells."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The current state of an operation, or of a study."""

    name: str
    subject: str
    status: str
    percentage: float
    detail: str
    """The current step, or why it waits."""


def snapshot_of(operation: Operation) -> Snapshot:
    step = operation.progress.get("current_step") if operation.status == Status.RUNNING else None
    return Snapshot(
        operation.pk,
        f"{operation.operation_type} {operation.pk}",
        operation.status,
        operation.progress.get("percentage") or 0.0,
        str(step or operation.waiting_reason),
    )


class Display(Protocol):
    def show(self, snapshot: Snapshot) -> None:
        """Show the current state."""


class Lines:
    """Prints one line per change of status and per ten percent."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_text = ""

    def show(self, snapshot: Snapshot) -> None:
        if snapshot.status == Status.RUNNING:
            text = f"{snapshot.status} {snapshot.percentage // 10 * 10:.0f} %"
        else:
            text = f"{snapshot.status} {snapshot.detail}".strip()
        if text != self._last_text:
            self._last_text = text
            self._console.print(one_line(f"{snapshot.name}: {text}"))


class Bar:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("", total=100, status="")

    def show(self, snapshot: Snapshot) -> None:
        self._bars.update(
            self._task,
            completed=snapshot.percentage,
            status=snapshot.status,
            description=one_line(f"{snapshot.subject} {snapshot.detail}".strip()),
        )


@contextmanager
def display(stream: IO[str]) -> Iterator[Display]:
    console = plain_console(stream)
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (TextColumn("{task.fields[status]}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}", markup=False), console=console) as bars:
        yield Bar(bars)


def plain_console(stream: IO[str]) -> Console:
    """Return a console that interprets nothing in what it prints: texts of workers may contain `[/red]` or `:bug:`."""
    return Console(file=drawing_stream(stream), highlight=False, markup=False, emoji=False, soft_wrap=True)


def follow(operation_id: str, stream: IO[str]) -> int:
    """Follow until the operation ends; return the exit status: 0 completed, 1 failed, 3 cancelled."""
    with display(stream) as progress_display:
        while True:
            operation = progress.refresh(Operation.objects.get(pk=operation_id))
            explain_wait(operation)
            progress_display.show(snapshot_of(operation))
            if operation.is_final:
                break
            time.sleep(POLL_S)
    if operation.status == Status.FAILED:
        message = f"failed ({operation.error_class}): {operation.error_message}"
        plain_console(stream).print(visible(message))
    return EXIT[Status(operation.status)]


def follow_until_detached(operation_id: str, stream: IO[str], results: OutputWrapper | None = None) -> int:
    """Follow like `follow`, then write the result to `results`; on Ctrl-C print how to follow again and leave it running."""
    try:
        status = follow(operation_id, stream)
        if results is not None:
            for line in result_lines(Operation.objects.get(pk=operation_id)):
                results.write(line)
        return status
    except KeyboardInterrupt:
        stream.write(
            f"\nDetached; the operation continues. Follow it again with: manage.py follow {operation_id}\n"
            f"Cancel it with: manage.py cancel_operation {operation_id}\n"
        )
        return DETACHED
