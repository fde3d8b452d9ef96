"""The output of `manage.py up` and of the demo: one line for each completed step, and warnings.

On a terminal, each step under way also has a bar below these lines.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TextIO

from worker_agent.visible_text import one_line

NAME_WIDTH = 13
LINE_WIDTH = 160
"""Warnings are cut at this width if the output is not a terminal."""
PLAIN_UPDATE_S = 10.0


class Terminal:
    """Plain lines. When the reader is gone, calls `on_closed` once and writes no more."""

    def __init__(self, stream: TextIO, on_closed: Callable[[], None] = lambda: None) -> None:
        self._stream = stream
        self._on_closed = on_closed
        self._open = True
        self._begun: dict[str, float] = {}
        self._updated: dict[str, float] = {}

    @property
    def width(self) -> int:
        return LINE_WIDTH

    def show(self, line: str = "") -> None:
        self._write(line)

    def begin(self, name: str) -> None:
        """Start the clock of a step."""
        self._begun[name] = self._updated[name] = time.monotonic()

    def update(self, name: str, percentage: float | None, step: str) -> None:
        """Report progress of a step, at most one line in 10 s."""
        now = time.monotonic()
        if now - self._updated[name] >= PLAIN_UPDATE_S:
            self._updated[name] = now
            state = "waiting" if percentage is None else f"{percentage:.0f} %"
            self._write(_row(name, state, now - self._begun[name], step))

    def finish(self, name: str, state: str, details: str = "") -> None:
        """Report the outcome of a step and the time it took."""
        seconds = time.monotonic() - self._begun.pop(name)
        self._write(_row(name, state, seconds, details))

    def abandon_all(self) -> None:
        """Forget the steps under way."""
        self._begun.clear()

    def warn(self, name: str, text: str, tail: list[str] | None = None) -> None:
        """Show one short line with the time of day, and below it the last lines of a process that failed."""
        self._write(f"{time.strftime('%H:%M:%S')}  {name}: {text}"[: self.width], "yellow")
        for line in tail or []:
            self._write(f"    | {line}"[: self.width], "dim")

    def pass_on(self, name: str, line: str) -> None:
        """Show one line of a process's output under its name."""
        self._write(f"{name:<{NAME_WIDTH}} | {line}", label=NAME_WIDTH + 2)

    @asynccontextmanager
    async def animate(self) -> AsyncIterator[None]:
        """Keep the bars moving; remove them at the end."""
        yield

    def _write(self, text: str, style: str = "", label: int = 0) -> None:
        """Write one line; `style` and the length of a coloured label matter only on a terminal."""
        self._guard(lambda: self._print(one_line(text), style, label))

    def _print(self, text: str, style: str, label: int) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _guard(self, write: Callable[[], None]) -> None:
        if not self._open:
            return
        try:
            write()
        except OSError:  # the terminal or the pipe is gone
            self._open = False
            self._on_closed()


def terminal_for(stream: TextIO, on_closed: Callable[[], None] = lambda: None) -> Terminal:
    if not stream.isatty():
        return Terminal(stream, on_closed)
    # Loading rich takes longer than everything else here.
    from ktrdr_site.stack.live_terminal import LiveTerminal

    return LiveTerminal(stream, on_closed)


def _row(name: str, state: str, seconds: float, details: str) -> str:
    return f"  {name:<{NAME_WIDTH}} {state:<7} {seconds:6.1f} s  {details}".rstrip()
