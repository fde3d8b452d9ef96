"""docs/troubleshooting.md and docs/observability.md: every command, setting, page and metric in them exists."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("troubleshooting.md", "observability.md")


def text(page: str) -> str:
    return (ROOT / "docs" / page).read_text()


def commands(page: str) -> list[str]:
    """Each `manage.py ...` in code, inline or in a block."""
    inline = re.findall(r"`(manage\.py [^`]+)`", text(page))
    blocks = re.findall(r"^(manage\.py .+)$", text(page), re.MULTILINE)
    return [*inline, *blocks]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_one_that_manage_py_knows_with_these_flags(page: str) -> None:
    lines = commands(page)
    assert lines
    for line in lines:
        _, name, *arguments = shlex.split(line)
        assert name in get_commands(), line
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        flags = {flag for action in parser._actions for flag in action.option_strings}
        assert {word.partition("=")[0] for word in arguments if word.startswith("--")} <= flags, line
        positional = [action for action in parser._actions if not action.option_strings]
        assert isinstance(parser, argparse.ArgumentParser)
        assert positional or not [word for word in arguments[:1] if not word.startswith("--")], line


def test_every_setting_is_read_somewhere() -> None:
    code = "".join(
        path.read_text()
        for room in ("ktrdr_site", "worker_agent", "operations")
        for path in (ROOT / room).rglob("*.py")
    )
    for page in PAGES:
        for name in set(re.findall(r"\bKTRDR_\w+", text(page))):
            assert f'"{name}"' in code, (page, name)


def test_every_flag_of_an_agent_exists() -> None:
    options = (ROOT / "worker_agent" / "options.py").read_text()
    for flag in ("--host", "--public-url", "--worker-id"):
        assert flag in text("troubleshooting.md")
        assert f'"{flag}"' in options


def test_every_quoted_log_line_is_in_the_code() -> None:
    code = "".join(
        path.read_text()
        for room in ("ktrdr_site", "worker_agent", "operations", "access", "registry")
        for path in (ROOT / room).rglob("*.py")
    )
    for line in (
        "the backend does not accept the enrolment token", "cannot register yet", "the backend refuses this worker",
        "the database does not answer; trying again",
    ):  # fmt: skip
        assert line in text("troubleshooting.md")
        assert line in code
