"""Log files: nothing is lost, their size is bounded, and warnings reach the terminal."""

import logging
import stat
from io import StringIO
from pathlib import Path

import pytest

from ktrdr_site.processes.supervisor import Exit
from ktrdr_site.stack import journal as journal_module
from ktrdr_site.stack.journal import Journal
from ktrdr_site.stack.log_files import LogFile
from ktrdr_site.stack.log_lines import find_warning
from ktrdr_site.stack.terminal import Terminal


def test_a_log_file_is_rotated_by_size_and_the_oldest_is_dropped(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "logs" / "web.log", max_bytes=100, kept_files=2)
    for number in range(40):
        file.write(f"line {number:04}")
    file.close()
    paths = [tmp_path / "logs" / name for name in ("web.log.2", "web.log.1", "web.log")]
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == sorted(path.name for path in paths)
    assert all(path.stat().st_size <= 100 for path in paths)
    kept = "".join(path.read_text() for path in paths).splitlines()
    assert kept == [f"line {number:04}" for number in range(40 - len(kept), 40)]
    assert len(kept) > 20
    assert stat.S_IMODE(paths[-1].stat().st_mode) == 0o600


def test_a_later_start_appends_and_a_line_longer_than_the_limit_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    for text in ("first", "x" * 200, "last"):
        file = LogFile(path, max_bytes=100, kept_files=2)
        file.write(text)
        file.close()
    assert path.read_text() == "last\n"
    assert (tmp_path / "web.log.1").read_text() == "first\n" + "x" * 200 + "\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "2026-11-29T00:43:06.831Z [warning  ] sign-in failed                 [ktrdr_site.accounts.sign_in] address=10.0.0.7 request_id=r1",
            "warning: sign-in failed address=10.0.0.7",
        ),
        (
            "2026-11-29 00:43:06,831 ERROR worker_agent.reports: the report of abc waits: refused operation_id=abc attempt=1 request_id=r trace_id=t",
            "error: the report of abc waits: refused operation_id=abc",
        ),
        (
            '{"event": "worker unreachable", "level": "warning", "logger": "operations", "timestamp": "2026", "reason": "refused"}',
            "warning: worker unreachable reason=refused",
        ),
    ],
)
def test_a_warning_is_found_in_each_form_and_shortened(line: str, shown: str) -> None:
    assert str(find_warning(line)) == shown


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-29T00:43:06.831Z [info     ] leading the schedules          [ktrdr_site.schedules]",
        "2026-11-29 00:43:06,831 INFO worker_agent.base: training-1 listens at 127.0.0.1:5004",
        '{"event": "operation PENDING", "level": "info"}',
        '{"level": "warning", cut',
        "[1, 2]",
        "Traceback (most recent call last):",
        "",
    ],
)
def test_other_lines_are_not_warnings(line: str) -> None:
    assert find_warning(line) is None


WARNING = "2026-11-29 00:43:06,831 WARNING worker_agent.registration: the site does not answer"


def journal_in(directory: Path, verbose: bool = False) -> tuple[Journal, StringIO]:
    shown = StringIO()
    return Journal(directory / "logs", Terminal(shown), verbose), shown


def test_the_file_has_every_line_and_the_terminal_each_warning_once(tmp_path: Path) -> None:
    journal, shown = journal_in(tmp_path)
    for line in ("starting", WARNING, WARNING, "done"):
        journal.on_line("training-1", line)
    journal.on_line("training-2", WARNING)
    assert (tmp_path / "logs/training-1.log").read_text().splitlines() == [
        "starting",
        WARNING,
        WARNING,
        "done",
    ]
    lines = shown.getvalue().splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        f"training-{number}: warning: the site does not answer" for number in (1, 2)
    ]


def test_a_repeated_warning_is_shown_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "REPEAT_AFTER_S", 0)
    journal, shown = journal_in(tmp_path)
    for _ in range(2):
        journal.on_line("training-1", WARNING)
    assert shown.getvalue().count("\n") == 2


def test_verbose_shows_every_line_under_the_name_of_its_process(tmp_path: Path) -> None:
    journal, shown = journal_in(tmp_path, verbose=True)
    journal.on_line("web", "listening")
    journal.on_line("training-1", WARNING)
    assert shown.getvalue().splitlines() == ["web           | listening", f"training-1    | {WARNING}"]
    assert (tmp_path / "logs/web.log").read_text() == "listening\n"


def test_a_process_that_dies_at_its_start_is_shown_with_its_last_lines(tmp_path: Path) -> None:
    journal, shown = journal_in(tmp_path)
    journal.on_line("web", "of an earlier run")
    journal.on_start("web", 7)
    for number in range(100):
        journal.on_line("web", f"line {number}")
    journal.on_exit(Exit("web", "ended (exit status 3)", 1, 0.5))
    journal.on_exit(Exit("web", "ended (exit status 3)", 2, 1.0))
    first, *tail, path, second = shown.getvalue().splitlines()
    assert first.endswith("  web: ended (exit status 3); restarting in 0.5 s")
    assert [line.strip() for line in tail] == [f"| line {number}" for number in range(85, 100)]
    assert path.endswith(f"full log: {tmp_path}/logs/web.log")
    assert second.endswith(f"restarting in 1 s; log: {tmp_path}/logs/web.log")


def test_a_log_file_that_cannot_be_written_is_reported_once_and_nothing_stops(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the directory should be")
    journal, shown = journal_in(tmp_path)
    journal.on_line("web", "one")
    journal.on_line("web", "two")
    assert shown.getvalue().count("\n") == 1
    assert f"{tmp_path}/logs/web.log cannot be written" in shown.getvalue()
    assert journal.tail("web")[:2] == ["one", "two"]


def test_what_up_itself_logs_goes_to_its_own_file(tmp_path: Path) -> None:
    journal, _ = journal_in(tmp_path)
    handlers = logging.getLogger().handlers[:]
    with journal.with_own_log():
        logging.getLogger("asyncio").error("a task failed")
    assert logging.getLogger().handlers == handlers
    assert "a task failed" in (tmp_path / "logs/up.log").read_text()
