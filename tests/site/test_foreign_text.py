"""No control character of a foreign text reaches a terminal or a log: it is shown."""

import logging
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ktrdr_site.observability.logs import formatter, render_line
from ktrdr_site.stack.live_terminal import LiveTerminal
from ktrdr_site.stack.log_files import LogFile
from ktrdr_site.stack.terminal import Terminal
from operations import following
from operations.models import LogLine, Operation
from tests.factories import OperationFactory, WorkerFactory
from tests.site.test_commands import read_terminal
from tests.stack.system import environment as clean_environment
from worker_agent.monitoring.logs import JsonFormatter, TextFormatter
from worker_agent.visible_text import VisibleStream, one_line, visible

ROOT = Path(__file__).resolve().parents[2]
C0_AND_C1 = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
DIRECTIONS = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
OTHERS = list("\u2028\u2029\ufeff\ud800\udfff\U000e0041")
SEQUENCES = [
    "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "\x9b31m", "a\rb", "\b\b",
    "\n2026-01-01T00:00:00Z [error    ] forged", "[/red]", "[bold]", "[link=http://evil]x[/link]", ":bug:", "{0}", "%s",
]  # fmt: skip
HOSTILE = [*C0_AND_C1, *DIRECTIONS, *OTHERS, *SEQUENCES]
TEXTS = st.lists(st.sampled_from([*HOSTILE, "word", " ", "é", "漢"]), min_size=1, max_size=12).map("".join)
MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def assert_harmless(text: str) -> None:
    for character in text:
        if character not in "\n\t":
            assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"), repr(text)
            assert not unicodedata.bidirectional(character).startswith(("LR", "RL", "PD", "FS")), repr(text)


@given(TEXTS)
def test_control_characters_are_shown_and_all_others_kept(text: str) -> None:
    assert_harmless(visible(text))
    assert_harmless(one_line(text))
    assert "\n" not in one_line(text)
    assert "".join(re.findall(r"word|é|漢", visible(text))) == "".join(re.findall(r"word|é|漢", text))


@pytest.mark.parametrize("character", [c for c in HOSTILE if len(c) == 1 and c not in "\n\t"], ids=ascii)
def test_the_escape_names_the_character(character: str) -> None:
    assert visible(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"


def test_text_in_any_script_is_unchanged() -> None:
    text = "ä漢字 שלום عربى\tनमस्ते 👩‍🔬 €\n"
    assert visible(text) == text


# Logs -------------------------------------------------------------------------------------------------------


def record(text: str, **extra: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "n", "msg": "event %s", "args": (text,), "levelno": 20, "levelname": "INFO", **extra}
    )


def site_line(form: str) -> Callable[[logging.LogRecord], str]:
    return formatter(form).format


@MANY
@given(TEXTS)
@pytest.mark.parametrize(
    "write",
    [site_line("console"), site_line("json"), TextFormatter().format, JsonFormatter().format],
    ids=["site", "site json", "agent", "agent json"],
)
def test_a_log_event_is_one_line_without_controls(
    write: Callable[[logging.LogRecord], str], text: str
) -> None:
    line = write(record(text, operation_id=text, worker_id=text))
    assert_harmless(line)
    assert "\n" not in line


@MANY
@given(TEXTS)
@pytest.mark.parametrize("write", [site_line("console"), TextFormatter().format], ids=["site", "agent"])
def test_a_traceback_keeps_its_lines_and_shows_the_controls_of_its_message(
    write: Callable[[logging.LogRecord], str], text: str
) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        line = write(record("x", exc_info=(type(error), error, error.__traceback__)))
    assert_harmless(line)
    assert line.count("\n") >= 3


@MANY
@given(TEXTS)
def test_key_values_of_the_site_stay_on_their_line(text: str) -> None:
    event = {"event": text, "reason": text, "values": [text], "error": ValueError(text)}
    line = formatter("console").format(
        logging.makeLogRecord({"msg": event, "_logger": structlog.get_logger(), "_name": "warning"})
    )
    assert_harmless(line)
    assert "\n" not in line


VALUES = st.one_of(
    st.text(max_size=20), st.integers(), st.none(), st.floats(), st.booleans(), st.lists(st.text(max_size=3))
)
COLUMN_NAMES = ["timestamp", "level", "event", "logger"]


@given(
    st.dictionaries(st.sampled_from(COLUMN_NAMES), st.text(alphabet="ab =\n", min_size=1, max_size=12)),
    st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), VALUES, max_size=5),
)
def test_a_line_of_the_console_is_that_of_the_library(columns: dict[str, str], keys: dict[str, Any]) -> None:
    event = {**keys, **columns}
    expected = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)(None, "info", dict(event))
    assert render_line(None, "info", dict(event)) == one_line(expected)


@MANY
@given(TEXTS)
def test_a_log_file_has_one_line_per_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.log"
    path.unlink(missing_ok=True)
    file = LogFile(path)
    file.write(text)
    file.close()
    assert_harmless(path.read_text())
    assert path.read_text().count("\n") == 1
    assert_harmless(file.tail[0])


# Terminals --------------------------------------------------------------------------------------------------


@MANY
@given(TEXTS)
def test_plain_output_of_up_shows_controls(text: str) -> None:
    stream = StringIO()
    shown = Terminal(stream)
    shown.show(text)
    shown.warn(text, text, [text])
    shown.pass_on("web", text)
    shown.begin("a")
    shown.finish("a", "ready", text)
    assert_harmless(stream.getvalue())
    assert len(stream.getvalue().splitlines()) == 5


def draw_on_terminal(act: Callable[[Any], None]) -> str:
    """Return what a terminal receives, without the escape sequences that rich draws with."""
    main, side = os.openpty()
    try:
        with os.fdopen(side, "w") as stream:
            act(stream)
        shown = "".join(read_terminal(main))
    finally:
        os.close(main)
    assert "\x1b]" not in shown
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")


@pytest.mark.parametrize("text", SEQUENCES)
def test_bars_of_up_show_controls_and_interpret_no_markup(text: str) -> None:
    def act(stream: Any) -> None:
        shown = LiveTerminal(stream)
        shown.begin("training")
        shown.update("training", 10.0, text)
        shown.show(text)
        shown.abandon_all()

    shown = draw_on_terminal(act)
    assert_harmless(shown)
    assert one_line(text).strip() in shown


@pytest.mark.django_db
@pytest.mark.parametrize("text", SEQUENCES)
@pytest.mark.parametrize("draw", [draw_on_terminal, None], ids=["terminal", "pipe"])
def test_follow_shows_controls_and_interprets_no_markup(
    text: str, draw: Callable[[Callable[[Any], None]], str] | None
) -> None:
    operation = OperationFactory(
        operation_type="x",
        waiting_reason=text,
        progress={"current_step": text},
        status="FAILED",
        error_class="job",
        error_message=text,
        completed_at="2026-01-01T00:00Z",
    )

    def act(stream: Any) -> None:
        assert following.follow(operation.pk, stream) == 1

    if draw is not None:
        shown = draw(act)
    else:
        stream = StringIO()
        act(stream)
        shown = stream.getvalue()
    assert_harmless(shown)
    assert f"failed (job): {visible(text)}" in shown


@pytest.mark.django_db
@pytest.mark.parametrize("text", SEQUENCES)
def test_lists_show_controls_and_keep_one_line_per_row(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    OperationFactory(waiting_reason=text)
    WorkerFactory(worker_type=text[:20])
    stream = StringIO()
    monkeypatch.setattr(sys, "stdout", VisibleStream(stream))
    call_command("list_operations")
    call_command("list_workers")
    assert_harmless(stream.getvalue())
    assert len(stream.getvalue().splitlines()) == 3


@pytest.mark.django_db
def test_a_log_as_text_shows_controls(client: Client, person: Any) -> None:
    operation = Operation.objects.get(pk=OperationFactory().pk)
    text = "".join(character for character in HOSTILE if "\x00" not in character and character.isascii())
    LogLine.objects.create(
        operation=operation, attempt=1, seq=1, time="2026-01-01T00:00Z", level="info", message=text
    )
    client.force_login(person)
    response = client.get(f"/dashboard/operations/{operation.pk}/log.txt")
    content = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert_harmless(content)


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        (["manage.py", "\x1b]0;title\x07"], {}),
        (["manage.py", "cordon", "w", "--\x1b[31m"], {}),
        (["-m", "workers", "backtest"], {"KTRDR_LOG_FORMAT": "\x1b[31mred"}),
        (["-m", "workers", "\x1b[31m"], {}),
    ],
    ids=ascii,
)
def test_each_program_protects_its_streams(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=clean_environment(KTRDR_DATA_DIR=str(tmp_path), **environment),
        capture_output=True,
        text=True,
    )
    assert ended.returncode != 0
    assert r"\x1b" in ended.stdout + ended.stderr
    assert_harmless(ended.stdout + ended.stderr)
