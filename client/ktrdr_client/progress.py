"""Shows the progress of what is waited for: bars if `rich` is installed and the output is a terminal, else lines."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Protocol, TextIO

from ktrdr_client.visible_text import one_line

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class Display(Protocol):
    def show(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Show the current states: `name`, `status`, `percentage` and `detail` of each."""


class Silent:
    def show(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Show nothing."""


class Lines:
    """Prints a line for each change of status and for each ten percent."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: dict[str, str] = {}

    def show(self, states: Sequence[Mapping[str, Any]]) -> None:
        for state in states:
            text = f"{state['status']} {state['percentage'] // 10 * 10:.0f} %"
            if state["status"] != "RUNNING":
                text = f"{state['status']} {state['detail']}".strip()
            if self._last.get(state["name"]) != text:
                self._last[state["name"]] = text
                print(one_line(f"{state['name']}: {text}"), file=self._stream, flush=True)


class Bars:
    """Bars of rich, one for each of a few, or one for all of many."""

    FEW = 8

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def show(self, states: Sequence[Mapping[str, Any]]) -> None:
        if len(states) > self.FEW:
            ended = sum(state["status"] in FINAL for state in states)
            self._update("all", 100.0 * ended / len(states), f"{ended} of {len(states)} have ended")
            return
        for state in states:
            text = f"{state['name']} {state['status']} {state['detail']}".strip()
            self._update(state["name"], state["percentage"], text)

    def _update(self, name: str, percentage: float, text: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task("", total=100)
        self._bars.update(self._tasks[name], completed=percentage, description=one_line(text))


@contextmanager
def display(progress: bool) -> Iterator[Display]:
    """Yield what shows progress on standard error."""
    if not progress:
        yield Silent()
    elif sys.stderr.isatty() and find_spec("rich"):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        text = TextColumn("{task.description}", markup=False)
        with Progress(BarColumn(), text, console=Console(file=sys.stderr)) as bars:
            yield Bars(bars)
    else:
        yield Lines(sys.stderr)


def state_of_operation(data: Mapping[str, Any]) -> dict[str, Any]:
    progress = data.get("progress") or {}
    step = progress.get("current_step") if data["status"] == "RUNNING" else None
    return {
        "name": f"{data['operation_type']} {data['operation_id']}",
        "status": data["status"],
        "percentage": float(progress.get("percentage") or 0.0),
        "detail": str(step or data.get("waiting_reason") or ""),
    }


def state_of_study(data: Mapping[str, Any]) -> dict[str, Any]:
    trials = data["trials"]
    ended = trials["completed"] + trials["failed"] + trials["stopped_early"]
    best = data.get("best")
    detail = f"{ended:.0f} of {trials['planned']:.0f} trials"
    if best and best["value"] is not None:
        detail += f", best {best['value']:.4g}"
    return {
        "name": f"study {data['name']}",
        "status": data["status"],
        "percentage": float(data["progress"]["percentage"]),
        "detail": detail,
    }
