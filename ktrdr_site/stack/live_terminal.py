"""Output on a terminal: coloured lines, and below them a bar for each step under way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from ktrdr_site.stack.terminal import NAME_WIDTH, Terminal
from worker_agent.visible_text import drawing_stream, one_line

BAR_WIDTH = 24
REFRESH_S = 0.2


class LiveTerminal(Terminal):
    def __init__(self, stream: TextIO, on_closed: Callable[[], None] = lambda: None) -> None:
        super().__init__(stream, on_closed)
        self._console = Console(
            file=drawing_stream(stream), highlight=False, soft_wrap=True, emoji=False, markup=False
        )
        columns = (
            TextColumn("  {task.description}", markup=False),
            BarColumn(BAR_WIDTH),
            TextColumn("{task.fields[state]:>5}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[step]}", markup=False),
        )
        self._bars = Progress(*columns, console=self._console, auto_refresh=False, transient=True)
        self._tasks: dict[str, TaskID] = {}

    @property
    def width(self) -> int:
        return self._console.width

    def begin(self, name: str) -> None:
        super().begin(name)
        self._tasks[name] = self._bars.add_task(f"{name:<{NAME_WIDTH}}", total=None, state="", step="")
        self._guard(self._bars.start)

    def update(self, name: str, percentage: float | None, step: str) -> None:
        state = "" if percentage is None else f"{percentage:.0f} %"
        total = None if percentage is None else 100.0
        self._bars.update(
            self._tasks[name], completed=percentage or 0.0, total=total, state=state, step=one_line(step)
        )

    def finish(self, name: str, state: str, details: str = "") -> None:
        self._bars.remove_task(self._tasks.pop(name))
        self._guard(self._bars.refresh)  # otherwise the line below appears above a stale bar
        super().finish(name, state, details)
        if not self._tasks:  # shows the cursor again
            self._guard(self._bars.stop)

    def abandon_all(self) -> None:
        super().abandon_all()
        for name in tuple(self._tasks):
            self._bars.remove_task(self._tasks.pop(name))
        self._guard(self._bars.stop)

    @asynccontextmanager
    async def animate(self) -> AsyncIterator[None]:
        moving = asyncio.create_task(self._refresh())
        try:
            yield
        finally:
            moving.cancel()
            self.abandon_all()

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            if self._tasks:
                self._guard(self._bars.refresh)

    def _print(self, text: str, style: str, label: int) -> None:
        line = Text(text, style)
        line.stylize("cyan", 0, label)
        self._console.print(line)
