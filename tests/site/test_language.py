"""The project's English stays within the limits that CONTRIBUTING.md names."""

import pytest

from tools.language import PARTICIPLE, Figures, measure, total

LIMITS = {
    "says": 9, "What/Who": 3, "is no": 5, "anew": 1, "for ever": 1, "by itself": 1, "mend": 1, "alike": 1, "stands": 1,
    PARTICIPLE: 0.6,
}  # fmt: skip
"""Per 10,000 words; for participles the percentage of functions."""


@pytest.fixture(scope="module")
def figures() -> Figures:
    return total(measure())


@pytest.mark.parametrize("column", LIMITS)
def test_an_odd_expression_is_rare(figures: Figures, column: str) -> None:
    hits = [f"{hit.path}:{hit.line}: {hit.excerpt}" for hit in figures.hits if hit.column == column]
    assert figures.rate(column) <= LIMITS[column], "\n".join(hits)
