"""The page about the grammar matches the code."""

from pathlib import Path

import pytest

from workers.strategy.catalog import MEMBERSHIPS, TIMEFRAMES
from workers.strategy.expressions.functions import FIELDS, FUNCTIONS
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.reference import SPELLED_DIFFERENTLY, render, sections_of_both_kinds
from workers.strategy.rules_strategy import RulesStrategy
from workers.strategy.trained_strategy import TrainedStrategy

PAGE = Path(__file__).parents[3] / "docs" / "strategy-grammar.md"


def test_the_page_is_current() -> None:
    expected = render() + "\n"
    assert PAGE.read_text(encoding="utf-8") == expected, (
        "run: python -m workers.strategy.reference docs/strategy-grammar.md"
    )


def test_every_key_and_name_is_on_the_page() -> None:
    page = render()
    sections = sections_of_both_kinds()
    names = {
        name
        for kind in (TrainedStrategy, RulesStrategy)
        for name in (kind.__name__, *kind.model_json_schema()["$defs"])
    }
    assert {section.name for section in sections} == names
    for section in sections:
        for key in section.keys:
            assert f"| `{key}` |" in page or (
                f"| *{key}* |" in page and (section.name, key) in SPELLED_DIFFERENTLY
            )
    for name in (*INDICATORS, *MEMBERSHIPS, *TIMEFRAMES, *FIELDS):
        assert f"`{name}`" in page
    for function in FUNCTIONS.values():
        assert f"| `{function.signature}` |" in page
    assert len({section.title for section in sections}) == len(sections)


@pytest.mark.parametrize(
    "row",
    [
        "| `learning_rate` | number above 0 to 10 | `0.001` | Learning rate of the first epoch. |",
        "| `rules` | whole number from 2 to 512 | `16` |  |",
        "| `embargo` | whole number from 0 to 100 000 |  | Bars left out after each boundary in addition to the purge;",
        "| `gaussian` | `[centre, sigma]` | `sigma > 0` |",
        "| `rsi` | Relative strength index (Wilder) | `period` = `14` (2 to 5000)<br>`source` = `close` (a price) | `value` 0 to 100 | `period` |",
    ],
)
def test_a_row_is_readable(row: str) -> None:
    assert row in render()
