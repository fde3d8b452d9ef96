"""docs/settings.md has every variable that the code reads, with its default, and no other."""

import re
from pathlib import Path

from tests.rooms import ROOMS

ROOT = Path(__file__).resolve().parents[2]
NAME = r"(?:KTRDR|WORKER)_[A-Z_]+"


def defaults_on_page() -> dict[str, str]:
    """The default by variable, as on the page."""
    page = (ROOT / "docs" / "settings.md").read_text()
    return dict(re.findall(rf"(?m)^\| `({NAME})` \| ([^|]+) \|", page))


def test_every_variable_that_the_code_reads_is_documented_and_every_documented_one_is_read() -> None:
    files = [ROOT / "manage.py", *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    read = {name for path in files for name in re.findall(rf'"({NAME})"', path.read_text())}
    assert defaults_on_page().keys() == read


def test_the_numbers_that_are_documented_are_the_defaults() -> None:
    settings = (ROOT / "ktrdr_site" / "settings.py").read_text()
    defaults = dict(re.findall(rf'environment\.(?:seconds|count|days)\("({NAME})", (\d+)\)', settings))
    assert len(defaults) > 10
    assert {name: defaults_on_page()[name].strip() for name in defaults} == defaults
