"""Expressions: every mistake is rejected at its character, and every value equals that of an independent interpreter."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quant.strategy.rules import RULES, conditions, rules_text, rules_with
from workers.backtesting.condition_decisions import evaluate_conditions
from workers.strategy.expressions.lookback import lookback
from workers.strategy.expressions.parser import parse
from workers.strategy.expressions.resolving import resolve
from workers.strategy.expressions.tokens import MAX_TOKENS
from workers.strategy.expressions.tree import ExpressionError, Reference
from workers.strategy.features import input_matrix
from workers.strategy.grammar import RulesStrategy, StrategyError, parse_strategy
from workers.strategy.indicators.evaluation import evaluate_condition, evaluate_number

WRONG: list[tuple[str, str, str]] = [
    ("rsi_41 < 30", "rsi_41", "no value is named 'rsi_41'; did you mean rsi_14?"),
    ("close > opne", "opne", "did you mean open?"),
    ("close > macd_12.signl", "macd_12.signl", "no output of macd_12 is named 'signl'; did you mean signal?"),
    ("momentum.hgh > 0.5", "momentum.hgh", "no membership of momentum is named 'hgh'; did you mean high?"),
    ("close > oversold@1w", "oversold@1w", "oversold is a constant, the same at every bar; remove @1w"),
    ("momentum > 0.5", "momentum", "name a membership of the fuzzy set momentum, for example momentum.low"),
    ("close.x > 1", "close.x", "close is one value of a bar; remove .x"),
    ("close > slow@1h", "slow@1h", "no timeframe of training_data is named '1h'"),
    ("close > slow@", "slow@", "no timeframe of training_data is named ''"),
    ("cross_above(fast, slow)", "cross_above", "did you mean crosses_above?"),
    ("crosses_above(fast)", "crosses_above", "takes 2 values as in crosses_above(a, b), not 1"),
    ("hour(1) > 2", "hour", "takes 0 values as in hour(), not 1"),
    ("fast > mean(close)", "mean", "takes 2 values as in mean(x, n), not 1"),
    ("close > shift(close, -1)", "-1", "shift looks back only"),
    ("close > shift(close, fast)", "fast", "n of shift(x, n) must be a whole number from 0, or a constant"),
    ("close > mean(close, 2.5)", "2.5", "must be a whole number from 1"),
    ("close > std(close, 1)", "1)", "must be a whole number from 2"),
    ("close > mean(close, 5001)", "5001", "reaches back at most 5,000 bars, not 5,001"),
    ("close", "close", "a decision needs a condition, but this is a number; compare it"),
    ("fast and close > slow", "fast", "and needs a condition here, but this is a number"),
    ("not close", "close", "not needs a condition here"),
    ("(close > slow) + 1 > 2", "close > slow", "+ needs a number here, but this is a condition"),
    ("mean(close > slow, 3) > 0", "close > slow", "mean needs a number here, but this is a condition"),
    ("-(close > slow) < 1", "close > slow", "- needs a number here"),
    ("close >", None, "a value is missing at the end"),
    ("> close", ">", "a value is missing before '>'"),
    ("close > and fast > slow", "and", "a value is missing before 'and'"),
    ("close > slow fast", "fast", "an operator such as and or < is missing before 'fast'"),
    ("(close > slow", "(", "this ( is not closed"),
    ("mean(close, 3 > slow", "(", "this ( is not closed"),
    ("close > slow)", ")", "this ) closes nothing"),
    ("close > slow, fast", ",", "',' does not fit here"),
    ("close > slow && fast > slow", "&", "'&' has no meaning in an expression; write and"),
    ("close = slow", "=", "'=' has no meaning in an expression; write =="),
    ("!(close > slow)", "!", "write not"),
    ("close > slow AND fast > slow", "AND", "write and in small letters"),
    ("close > slow # comment", "#", "'#' has no meaning"),
    ("close > 'text'", "'", "has no meaning"),
    ("close > 1.2.3", "1.2.3", "'1.2.3' is neither a number nor a name"),
    ("close > 12abc", "12abc", "'12abc' is neither a number nor a name"),
    ("close > a.b.c", "a.b.c", "'a.b.c' is neither a number nor a name"),
    ("close > 1e999", "1e999", "this number is too large"),
    ("1 < 2", "1", "it names no value of the bars"),
    ("__import__(close) > 1", "__import__", "no function is named '__import__'"),
    ("close.__class__ > 1", "close.__class__", "close is one value of a bar; remove .__class__"),
    ("close ＞ slow", "＞", "has no meaning"),
    ("(" * 30 + "close > slow" + ")" * 30, None, "nested more than 24 levels deep"),
    ("close > " + "+".join("1" * 200), None, f"at most {MAX_TOKENS} words and signs"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "at", "sentence"), WRONG, ids=[f"{text[:40]}" for text, _, _ in WRONG])
def test_each_mistake_is_rejected_at_its_character(text: str, at: str | None, sentence: str) -> None:
    file = rules_text(conditions(long=text)).replace("\ndecisions:\n", "\ndecisions:\n  # below\n")
    with pytest.raises(StrategyError) as raised:
        parse_strategy(file)
    [error] = raised.value.errors
    assert error.pointer == "/decisions/long"
    assert sentence in error.message
    assert len(error.message) < 300
    if at is not None:
        line = file.splitlines()[error.line - 1]
        assert line[error.column - 1 :].startswith(at), line[error.column - 1 :]


@pytest.mark.parametrize(
    "spelling",
    ["{}", '"{}"', "'{}'", ">-\n    {}\n", "|  # lines\n    {}\n", "close > slow or\n    {}"],
    ids=["plain", "double", "single", "folded", "literal", "over two lines"],
)
def test_the_position_is_right_however_the_text_is_written(spelling: str) -> None:
    file = rules_text(conditions(long="PLACE")).replace("PLACE", spelling.format("fast > slow and sloe > 1"))
    with pytest.raises(StrategyError) as raised:
        parse_strategy(file)
    [error] = raised.value.errors
    assert file.splitlines()[error.line - 1][error.column - 1 :].startswith("sloe")


@settings(max_examples=60, deadline=None)
@given(
    style=st.sampled_from(["'", '"', "|", ">", None]),
    width=st.integers(10, 90),
    before=st.lists(st.sampled_from(["fast > slow", "close != 3", "rsi_14 < 2e1"]), max_size=8),
    after=st.lists(st.sampled_from(["fast > slow", "(close) < 3"]), max_size=8),
)
def test_the_position_survives_any_way_of_folding_lines(
    style: str | None, width: int, before: list[str], after: list[str]
) -> None:
    text = " and ".join([*before, "sloe > 1", *after])
    file = rules_text(lambda data: data.pop("decisions"))
    file += yaml.dump({"decisions": {"long": text}}, default_style=style, width=width)
    with pytest.raises(StrategyError) as raised:
        parse_strategy(file)
    [error] = raised.value.errors
    assert file.splitlines()[error.line - 1][error.column - 1 :].startswith("sloe"), file


def test_an_indicator_that_needs_itself_is_rejected() -> None:
    def change(data: dict[str, Any]) -> None:
        for name, needed in (("a", "b"), ("b", "c"), ("c", "a")):
            data["indicators"][name] = {"type": "expression", "expression": f"{needed} / close"}

    with pytest.raises(StrategyError, match="these indicators need each other: a needs b needs c needs a"):
        parse_strategy(rules_text(change))


@pytest.mark.parametrize(
    ("section", "name", "sentence"),
    [
        ("indicators", "close", "close is already a field of the bars"),
        ("constants", "mean", "mean is already a function"),
        ("constants", "fast", "fast is already in indicators"),
        ("fuzzy_sets", "slow", "slow is already in indicators"),
        ("constants", "and", "and is already a word of expressions"),
    ],
)
def test_a_name_means_one_thing(section: str, name: str, sentence: str) -> None:
    def change(data: dict[str, Any]) -> None:
        data[section][name] = next(iter(RULES[section].values()))

    with pytest.raises(StrategyError, match=sentence):
        parse_strategy(rules_text(change))


def test_the_inputs_are_named_as_the_file_writes_them() -> None:
    strategy = rules_with()
    assert strategy.warnings == ()
    assert strategy.input_names == (
        "fast", "slow", "rsi_14", "momentum.high", "macd_12.signal", "macd_12.line", "close", "close@1w", "change",
    )  # fmt: skip
    assert strategy.warm_up_bars == 33, "MACD with its signal"
    assert strategy.warm_up_rows("change") == 1


def test_the_warm_up_ends_where_every_condition_is_known(bars: pd.DataFrame) -> None:
    def change(data: dict[str, Any]) -> None:
        conditions(long="highest(rsi_14, 4) > shift(mean(slow, 3), 5)", exit_long="change < std(change, 12)")(
            data
        )

    strategy = rules_with(change)
    columns = dict(zip(strategy.input_names, input_matrix(strategy, {"1d": bars}).T, strict=True))
    known = [condition.known for condition in evaluate_conditions(strategy, columns).values()]
    assert int(np.logical_and.reduce(known).argmax()) == strategy.warm_up_bars == 26


# An independent interpreter: each generated expression is its text, its value at a bar, and the bars that it needs.

N = 12
Value = float | bool | None


@dataclass
class Case:
    text: str
    at: Callable[[int], Value] = field(repr=False)
    needs: int = 0


def columns_of(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = {name: rng.integers(-3, 4, N).astype(float) for name in "abc"}
    for values in columns.values():
        values[rng.random(N) < 0.15] = np.nan
    return columns


def leaf(name: str, columns: dict[str, np.ndarray]) -> Case:
    values = columns[name]
    return Case(name, lambda t: None if t < 0 or math.isnan(values[t]) else float(values[t]))


def combine(text: str, function: Callable[..., Value], *parts: Case) -> Case:
    def at(t: int) -> Value:
        values = [part.at(t) for part in parts]
        return None if None in values else function(*values)

    return Case(text, at, max(part.needs for part in parts))


def divide(a: float, b: float) -> float | None:
    return None if b == 0 else a / b


def over_window(name: str, part: Case, n: int) -> Case:
    functions: dict[str, Callable[[list[float]], float]] = {
        "highest": max, "lowest": min, "mean": lambda v: math.fsum(v) / len(v),
        "std": lambda v: math.sqrt(sum((x - math.fsum(v) / len(v)) ** 2 for x in v) / (len(v) - 1)),
    }  # fmt: skip

    def at(t: int) -> Value:
        values = [part.at(i) for i in range(t - n + 1, t + 1)] if t >= n - 1 else [None]
        return None if None in values else functions[name]([float(v) for v in values if v is not None])

    return Case(f"{name}({part.text}, {n})", at, part.needs + n - 1)


def shift_of(part: Case, n: int) -> Case:
    return Case(f"shift({part.text}, {n})", lambda t: part.at(t - n) if t >= n else None, part.needs + n)


def crossing(a: Case, b: Case, *, above: bool) -> Case:
    after, before = (operator.gt, operator.le) if above else (operator.lt, operator.ge)

    def at(t: int) -> Value:
        values = [a.at(t), b.at(t), a.at(t - 1) if t else None, b.at(t - 1) if t else None]
        return None if None in values else after(values[0], values[1]) and before(values[2], values[3])

    return Case(f"crosses_{'above' if above else 'below'}({a.text}, {b.text})", at, max(a.needs, b.needs) + 1)


ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": divide}
COMPARISONS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def numbers(columns: dict[str, np.ndarray]) -> st.SearchStrategy[Case]:
    constant = st.integers(0, 3).map(lambda value: Case(str(value), lambda t: float(value)))
    leaves = st.sampled_from("abc").map(lambda name: leaf(name, columns)) | constant

    def extend(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
        return st.one_of(
            st.builds(lambda sign, a, b: combine(f"({a.text} {sign} {b.text})", ARITHMETIC[sign], a, b),
                      st.sampled_from(list(ARITHMETIC)), inner, inner),
            st.builds(lambda a: combine(f"-{a.text}", operator.neg, a), inner),
            st.builds(lambda a: combine(f"abs({a.text})", abs, a), inner),
            st.builds(lambda f, a, b: combine(f"{f.__name__}({a.text}, {b.text})", f, a, b),
                      st.sampled_from([min, max]), inner, inner),
            st.builds(over_window, st.sampled_from(["highest", "lowest", "mean", "std"]), inner, st.integers(2, 4)),
            st.builds(shift_of, inner, st.integers(0, 3)),
        )  # fmt: skip

    return st.recursive(leaves, extend, max_leaves=5)


def truths(columns: dict[str, np.ndarray]) -> st.SearchStrategy[Case]:
    number = numbers(columns)
    leaves = st.one_of(
        st.builds(lambda sign, a, b: combine(f"{a.text} {sign} {b.text}", COMPARISONS[sign], a, b),
                  st.sampled_from(list(COMPARISONS)), number, number),
        st.builds(lambda a, b, c: combine(f"{a.text} < {b.text} <= {c.text}", lambda x, y, z: x < y <= z, a, b, c),
                  number, number, number),
        st.builds(lambda a, b, above: crossing(a, b, above=above), number, number, st.booleans()),
    )  # fmt: skip

    def extend(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
        return st.one_of(
            st.builds(lambda a, b: combine(f"({a.text} and {b.text})", lambda x, y: x and y, a, b), inner, inner),
            st.builds(lambda a, b: combine(f"({a.text} or {b.text})", lambda x, y: x or y, a, b), inner, inner),
            st.builds(lambda a: combine(f"(not {a.text})", operator.not_, a), inner),
            st.builds(shift_of, inner, st.integers(0, 3)),
        )  # fmt: skip

    return st.recursive(leaves, extend, max_leaves=4)


class AnyColumn:
    constants: dict[str, float] = {}

    def column(self, reference: Reference) -> str:
        return str(reference)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), seed=st.integers(0, 50))
def test_a_number_equals_that_of_an_independent_interpreter(data: st.DataObject, seed: int) -> None:
    columns = columns_of(seed)
    case = data.draw(numbers(columns))
    tree = resolve(parse(case.text), AnyColumn(), "number")
    expected = [math.nan if (value := case.at(t)) is None else value for t in range(N)]
    np.testing.assert_allclose(evaluate_number(tree, columns.__getitem__, N), expected, rtol=1e-9, atol=1e-9)
    assert lookback(tree) == case.needs


@settings(max_examples=150, deadline=None)
@given(data=st.data(), seed=st.integers(0, 50))
def test_a_condition_equals_that_of_an_independent_interpreter(data: st.DataObject, seed: int) -> None:
    """Small whole numbers give many ties. A condition with a missing number is unknown and does not hold."""
    columns = columns_of(seed)
    case = data.draw(truths(columns))
    tree = resolve(parse(case.text), AnyColumn(), "condition")
    result = evaluate_condition(tree, columns.__getitem__, N)
    rounded = "std" in case.text or "mean" in case.text or "/" in case.text
    for t in range(N):
        assert result.known[t] == (case.at(t) is not None)
        assert rounded or result.holds[t] == bool(case.at(t))
    assert lookback(tree) == case.needs


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 50))
def test_the_future_never_changes_a_condition_and_the_lookback_suffices(
    data: st.DataObject, seed: int
) -> None:
    columns = columns_of(seed)
    tree = resolve(parse(data.draw(truths(columns)).text), AnyColumn(), "condition")
    complete = evaluate_condition(tree, columns.__getitem__, N)
    t = data.draw(st.integers(0, N - 1))
    cut = evaluate_condition(tree, lambda name: columns[name][: t + 1], t + 1)
    np.testing.assert_array_equal(cut.holds, complete.holds[: t + 1])
    first = max(0, t - lookback(tree))
    window = evaluate_condition(tree, lambda name: columns[name][first : t + 1], t + 1 - first)
    assert window.known[-1] == complete.known[t]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab1.@()<>=+-*/, andornotshift_", max_size=40) | st.text(max_size=20))
def test_any_text_gives_a_tree_or_an_error_inside_the_text(text: str) -> None:
    for error in errors_of(text):
        assert 0 <= error.offset <= len(text)
        assert error.message


def errors_of(text: str) -> list[ExpressionError]:
    try:
        resolve(parse(text), AnyColumn(), "condition")
    except ExpressionError as error:
        return [error]
    return []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("mean(1 / 2, 2)", 0.5), ("highest(a, 2) / 0", None), ("1 / 0 + a", None), ("log(0)", None), ("max(1, 2)", 2.0)],
)  # fmt: skip
def test_calculations_with_constants_have_a_value_at_every_row(text: str, expected: float | None) -> None:
    tree = resolve(parse(text), AnyColumn(), "number")
    values = evaluate_number(tree, lambda name: np.ones(3), 3)
    assert values[-1] == expected if expected is not None else np.isnan(values).all()
    condition = resolve(parse(f"{text} < 3"), AnyColumn(), "condition")
    assert evaluate_condition(condition, lambda name: np.ones(3), 3).holds[-1] == (expected is not None)


def test_a_window_forgets_every_value_before_it() -> None:
    """A running sum would keep the rounding of the large value and the NaN in all later windows."""
    values = np.array([1e17, 1.0, 2.0, np.nan, 3.0, 4.0, 5.0])
    tree = resolve(parse("mean(a, 2)"), AnyColumn(), "number")
    np.testing.assert_array_equal(
        evaluate_number(tree, lambda name: values, 7), [np.nan, 5e16, 1.5, np.nan, np.nan, 3.5, 4.5]
    )


@pytest.mark.parametrize("window", range(2, 9))
def test_a_constant_price_has_exactly_its_mean_and_no_deviation(window: int) -> None:
    values = np.full(20, 100.1)
    for function, expected in (("mean", 100.1), ("std", 0.0)):
        tree = resolve(parse(f"{function}(a, {window})"), AnyColumn(), "number")
        assert set(evaluate_number(tree, lambda name: values, 20)[window - 1 :]) == {expected}


def test_the_strategy_has_the_kind_of_its_model() -> None:
    assert isinstance(parse_strategy(rules_text()), RulesStrategy)
