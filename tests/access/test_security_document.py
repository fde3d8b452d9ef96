"""docs/security.md: each defence names a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def read_defences() -> list[str]:
    text = (ROOT / "docs" / "security.md").read_text()
    table = text.partition("## Threats and defences")[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("row", read_defences(), ids=lambda row: row.split("|")[2].strip())
def test_each_defence_names_a_test_that_exists(row: str) -> None:
    names = re.findall(r"`(tests/[\w/]+\.py)`", row)
    assert names, "name the test that holds this defence"
    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_the_table_has_its_threats() -> None:
    assert len(read_defences()) > 25
