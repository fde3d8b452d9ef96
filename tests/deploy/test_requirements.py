"""requirements/*.txt: every package has a version and hashes, and no file names an index."""

import re
from pathlib import Path

import pytest

from tools.advisories import pins_of

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
ENTRY = re.compile(r"^(?=\w)(?:.*\\\n)*.*", re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_package_has_a_version_and_a_hash(file: Path) -> None:
    entries = ENTRY.findall(file.read_text())
    assert entries
    unpinned = [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert unpinned == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_file_names_an_index_or_another_place(file: Path) -> None:
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links| @ ", file.read_text()) == []


def test_files_that_are_installed_together_agree_on_versions() -> None:
    together = ("agent", "importer", "web", "workers")
    everything = pins_of([ROOT / "requirements" / "dev.txt"])
    for name in together:
        pins = pins_of([ROOT / "requirements" / f"{name}.txt"])
        assert pins.items() <= everything.items(), name
    cpu, pypi = (pins_of([ROOT / "requirements" / f"torch-{build}.txt"]) for build in ("cpu", "pypi"))
    assert cpu["torch"].public == pypi["torch"].public


def test_each_input_has_its_pins() -> None:
    inputs = {file.stem for file in (ROOT / "requirements").glob("*.in")}
    assert inputs <= {file.stem for file in FILES}


def test_nothing_is_installed_without_its_hash() -> None:
    script = (ROOT / "requirements" / "install.sh").read_text()
    assert "--no-deps --require-hashes" in script
    for file in (
        ROOT / "Makefile",
        ROOT / "deploy" / "Dockerfile",
        ROOT / "deploy" / "lxc" / "make-template.sh",
    ):
        commands = re.findall(r"pip install .*", file.read_text())
        assert [command for command in commands if "--no-deps" not in command] == [], file.name
