"""docs/lessons.md and the tests that refer to it agree."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NUMBER = r"[WQ]\d+"
REFERENCE = re.compile(rf"[Ll]essons?\s+({NUMBER}(?:(?:,\s*|\s+and\s+){NUMBER})*)")


@cache
def rows() -> dict[str, str]:
    """Return number -> the other cells of its row."""
    page = (ROOT / "docs" / "lessons.md").read_text()
    return dict(re.findall(rf"(?m)^\| ({NUMBER}) \| (.*) \|$", page))


def references(path: Path) -> set[str]:
    return {
        number for listing in REFERENCE.findall(path.read_text()) for number in re.findall(NUMBER, listing)
    }


def sources() -> list[Path]:
    """Return the Python and Markdown files outside hidden folders."""
    return [
        path
        for suffix in ("py", "md")
        for path in sorted(ROOT.glob(f"[!.]*/**/*.{suffix}"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]


def test_every_lesson_that_the_repository_refers_to_has_a_row() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {number}"
        for path in sources()
        for number in sorted(references(path) - rows().keys())
    ]
    assert missing == []


def test_every_row_names_tests_that_refer_to_it_or_explains_why_it_cannot_happen() -> None:
    assert len(rows()) == 64
    for number, cells in rows().items():
        tests = re.findall(r"\(\.\./(tests/[^)]+)\)", cells)
        assert tests or re.search(r"\((?:reliability|correctness)\.md#", cells), number
        assert [path for path in tests if number not in references(ROOT / path)] == [], number
