"""The output of `manage.py up`: plain lines in a pipe, bars on a terminal, and an end when the reader is gone."""

import asyncio
import os
from collections.abc import Callable
from io import StringIO

import pytest

from ktrdr_site.stack import live_terminal, terminal
from ktrdr_site.stack.terminal import Terminal, terminal_for
from tests.site.test_commands import read_terminal


def test_a_pipe_gets_aligned_lines_without_control_codes() -> None:
    stream = StringIO()
    shown = terminal_for(stream)
    for name, details in (("database", "embedded PostgreSQL"), ("workers", "training-1")):
        shown.begin(name)
        shown.update(name, 40.0, "half way")
        shown.finish(name, "ready", details)
    assert stream.getvalue().splitlines() == [
        "  database      ready      0.0 s  embedded PostgreSQL",
        "  workers       ready      0.0 s  training-1",
    ]


def test_a_pipe_gets_progress_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    shown = Terminal(stream)
    shown.begin("training")
    shown.update("training", 10.0, "epoch 1")
    monkeypatch.setattr(terminal, "PLAIN_UPDATE_S", 0)
    shown.update("training", 20.0, "epoch 2")
    shown.update("training", None, "no worker is free")
    assert stream.getvalue().splitlines() == [
        "  training      20 %       0.0 s  epoch 2",
        "  training      waiting    0.0 s  no worker is free",
    ]


def test_a_warning_is_one_line_with_the_time_of_day() -> None:
    stream = StringIO()
    Terminal(stream).warn("web", "x" * 500)
    assert len(stream.getvalue()) == terminal.LINE_WIDTH + 1
    assert stream.getvalue()[8:16] == "  web: x"


class Broken(StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_is_gone_is_reported_once() -> None:
    closed: list[str] = []
    shown = Terminal(Broken(), lambda: closed.append("closed"))
    shown.show("one")
    shown.show("two")
    assert closed == ["closed"]


def on_a_terminal(act: Callable[[Terminal], None]) -> str:
    """Return what a terminal receives while `act` runs and half a refresh longer."""

    async def run(stream: object) -> None:
        shown = terminal_for(stream)  # type: ignore[arg-type]
        async with shown.animate():
            act(shown)
            await asyncio.sleep(3 * live_terminal.REFRESH_S)

    main, side = os.openpty()
    try:
        with os.fdopen(side, "w") as stream:
            asyncio.run(run(stream))
        return "".join(read_terminal(main))
    finally:
        os.close(main)


def test_a_terminal_gets_a_bar_for_what_is_under_way_and_the_cursor_back() -> None:
    def act(shown: Terminal) -> None:
        shown.begin("training")
        shown.update("training", 40.0, "epoch 4")

    text = on_a_terminal(act)
    assert "training" in text
    assert "40 %" in text
    assert "epoch 4" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"


def test_a_terminal_gets_the_ready_line_unchanged_and_text_of_processes_as_it_is() -> None:
    def act(shown: Terminal) -> None:
        shown.begin("workers")
        shown.show("KTRDR is ready at http://127.0.0.1:8000/dashboard/")
        shown.pass_on("web", "[bold]not markup[/bold] :smile: " + "x" * 200)

    text = on_a_terminal(act)
    assert "KTRDR is ready at http://127.0.0.1:8000/dashboard/" in text
    assert "[bold]not markup[/bold] :smile: " + "x" * 200 in text
