"""The programs of the site load no package that its own pins lack."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from ktrdr_site.packages import NOT_USED, absent
from tests.stack.system import ROOT, environment

LOAD = """
import sys
from ktrdr_site.packages import leave_out

leave_out()
import django

django.setup()
from ktrdr_site.stack.preloading import load_site

load_site()
print(*(name for name in sys.argv[1:] if sys.modules.get(name)))
"""


def test_the_servers_load_no_package_that_they_do_not_use(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *NOT_USED, "greenlet", "numpy", "pandas", "rich"],
        cwd=ROOT,
        env=environment()
        | {"KTRDR_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "ktrdr_site.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


def test_the_pins_of_the_site_lack_what_is_left_out() -> None:
    pinned = re.findall(
        r"^([\w.-]+)(?:\[.*\])?==", (ROOT / "requirements" / "web.txt").read_text(), re.MULTILINE
    )
    assert "django" in pinned
    assert not {name.lower() for name in pinned}.intersection(NOT_USED)


def test_an_absent_package_can_be_imported_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with absent("colorsys"), pytest.raises(ModuleNotFoundError):
        import_module("colorsys")
    assert import_module("colorsys")


def test_a_package_that_is_loaded_stays_so() -> None:
    with absent("pytest"):
        assert import_module("pytest") is pytest
