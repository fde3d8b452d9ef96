"""Any input gives a strategy or an error with positions, never a crash."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quant.strategy.conftest import strategy_text
from workers.strategy.grammar import StrategyError, parse_strategy

EXAMPLES = sorted(Path(__file__).parents[3].glob("examples/strategies/*.yaml"))

JARGON = (
    "Input should",
    "should be",
    "should have",
    "tuple",
    "dictionary",
    "should match",
    "after validation",
    "^[",
)
"""Wording of pydantic that the author of a file must not see."""

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), st.sampled_from(["all", "1d", "rsi", "", "x"])
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["type", "mode", "source", "list", "zz"]), inner, max_size=3),
    ),
    max_leaves=5,
)


def paths(node: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *(path for key, value in inner for path in paths(value, (*at, key)))]


def problems_of(text: str) -> list[tuple[int, str]]:
    try:
        parse_strategy(text)
    except StrategyError as raised:
        return [(error.line, error.message) for error in raised.errors]
    return []


class PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def change_value(text: str, path: tuple[str | int, ...], value: Any, key: str | None) -> str:
    data = yaml.safe_load(text)
    node = data
    for part in path[:-1]:
        node = node[part]
    if key is not None and isinstance(node[path[-1]], dict):
        node[path[-1]][key] = value
    else:
        node[path[-1]] = value
    return yaml.dump(data, Dumper=PlainDumper)


@pytest.mark.parametrize("base", [strategy_text(), *(path.read_text() for path in EXAMPLES)])
def test_one_value_changed_anywhere_is_accepted_or_rejected_with_a_position(base: str) -> None:
    everywhere = [path for path in paths(yaml.safe_load(base)) if path]

    @settings(max_examples=60, deadline=None)
    @given(path=st.sampled_from(everywhere), value=anything, key=st.sampled_from([None, "type", "zz"]))
    def check(path: tuple[str | int, ...], value: Any, key: str | None) -> None:
        text = change_value(base, path, value, key)
        for line, message in problems_of(text):
            assert message
            assert not any(word in message for word in JARGON), message
            assert 1 <= line <= text.count("\n") + 1

    check()


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="ab:- \n\t[]{}&*!'\"|>#%@,?0\x00\x85é", max_size=60))
def test_random_text_is_rejected_without_a_crash(text: str) -> None:
    with pytest.raises(StrategyError):
        parse_strategy(text)
