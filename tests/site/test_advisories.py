"""`make audit ADVISORIES=FILE`: pinned versions are compared with an offline copy of OSV's advisories."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from tools import advisories

FIXED = [{"introduced": "0"}, {"fixed": "2.0"}]
LAST = [{"introduced": "1.0"}, {"last_affected": "1.5"}]
TWICE = [{"introduced": "3.0"}, {"fixed": "3.1"}, {"introduced": "0"}, {"fixed": "1.0"}]


@pytest.mark.parametrize(
    ("events", "version", "expected"),
    [
        (FIXED, "1.9", True),
        (FIXED, "2.0", False),
        (FIXED, "2.0rc1", True),
        (FIXED, "10.0", False),
        (LAST, "0.9", False),
        (LAST, "1.5", True),
        (LAST, "1.5.1", False),
        (TWICE, "0.5", True),
        (TWICE, "2.0", False),
        (TWICE, "3.0.5", True),
        (TWICE, "3.1", False),
    ],
)
def test_a_range_is_read_as_the_schema_describes(
    events: list[dict[str, str]], version: str, expected: bool
) -> None:
    affected = {"ranges": [{"type": "ECOSYSTEM", "events": events}]}
    assert advisories.is_affected(affected, Version(version)) is expected


def archive_of(directory: Path, *entries: Any) -> Path:
    path = directory / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, entry in enumerate(entries):
            archive.writestr(f"{number}.json", entry if isinstance(entry, str) else json.dumps(entry))
    return path


def advisory(name: str, **more: Any) -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "versions": ["1.0"],
        **more.pop("affected", {}),
    }
    return {"id": f"OSV-{name}", "modified": "2026-11-01T00:00:00Z", "affected": [affected], **more}


def run(directory: Path, *entries: Any) -> int:
    pins = directory / "pins.txt"
    pins.write_text(
        "some-package==1.0 \\\n    --hash=sha256:00\n    # via x\nother==2.0 ; sys_platform == 'linux'\n"
    )
    return advisories.main([str(archive_of(directory, *entries)), str(pins)])


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (advisory("Some_Package"), 1),
        (advisory("other"), 0),
        (advisory("unpinned"), 0),
        (advisory("some-package", withdrawn="2026-01-01T00:00:00Z"), 0),
        (advisory("some-package", affected={"package": {"ecosystem": "npm", "name": "some-package"}}), 0),
        (advisory("some-package", affected={"versions": ["one point oh"]}), 0),
    ],
)
def test_the_status_states_whether_a_pinned_version_is_affected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: dict[str, Any], status: int
) -> None:
    assert run(tmp_path, advisory("unpinned"), entry) == status
    assert ("some-package 1.0: OSV-Some_Package" in capsys.readouterr().out) is (status == 1)


@pytest.mark.parametrize("entries", [(), ("no JSON",)], ids=["empty", "not JSON"])
def test_a_copy_that_cannot_be_used_is_not_taken_for_a_clean_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entries: tuple[str, ...]
) -> None:
    assert run(tmp_path, *entries) == 2
    assert str(tmp_path / "all.zip") in capsys.readouterr().err


def test_every_pin_of_the_product_is_read() -> None:
    requirements = Path(__file__).resolve().parents[2] / "requirements"
    text = (requirements / "dev.txt").read_text()
    assert len(advisories.pins_of([requirements / "dev.txt"])) == text.count("==") - text.count(" == ") > 100
