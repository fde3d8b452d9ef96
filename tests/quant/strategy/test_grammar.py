"""Every mistake in a strategy file is rejected with its position and a correction."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.quant.strategy.conftest import strategy_text, strategy_with
from workers.strategy.errors import MOST_ERRORS
from workers.strategy.grammar import RulesStrategy, StrategyError, TrainedStrategy, parse_strategy
from workers.strategy.sections.labels import ForwardReturnLabels

EXAMPLES = sorted(Path(__file__).parents[3].glob("examples/strategies/*.yaml"))
Data = dict[str, Any]


def errors_of(text: str) -> list[tuple[str, str]]:
    with pytest.raises(StrategyError) as raised:
        parse_strategy(text)
    return [(error.pointer, error.message) for error in raised.value.errors]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_parse_without_warnings(path: Path) -> None:
    strategy = parse_strategy(path.read_text())
    assert strategy.name == path.stem
    assert strategy.warnings == ()
    assert strategy.text == path.read_text()


def test_there_are_examples_of_each_kind() -> None:
    strategies = [parse_strategy(path.read_text()) for path in EXAMPLES]
    assert {len(strategy.timeframes) for strategy in strategies} == {1, 2}
    trained = [strategy for strategy in strategies if isinstance(strategy, TrainedStrategy)]
    assert {strategy.decisions.output_format for strategy in trained} == {"classification", "regression"}
    assert len({strategy.model.type for strategy in strategies}) >= 4


def test_an_error_has_line_column_pointer_and_the_nearest_key() -> None:
    text = strategy_text().replace("model:\n  type: mlp", "model:\n  typ: mlp\n  type: mlp")
    line = text.splitlines().index("  typ: mlp") + 1
    with pytest.raises(StrategyError) as raised:
        parse_strategy(text)
    error = raised.value.errors[0]
    assert (error.pointer, error.line, error.column) == ("/model/typ", line, 3)
    assert "did you mean type?" in error.message
    assert f"line {line}, column 3" in str(error)


def put(*path: str | int, value: Any) -> Callable[[Data], None]:
    def change(data: Any) -> None:
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return change


def drop(key: str) -> Callable[[Data], None]:
    return lambda data: data.pop(key)


WRONG: list[tuple[Callable[[Data], None], str, str]] = [
    (drop("model"), "", "model is missing"),
    (drop("training"), "", "training is missing"),
    (put("version", value="2.0"), "/version", "3.0"),
    (put("name", value=""), "/name", "must not be empty"),
    (put("modle", value={}), "/modle", "did you mean model?"),
    (put("context_data", value={}), "/context_data", "other data providers are not implemented"),
    (put("deployment", value={}), "/deployment", "live deployment is not supported"),
    (put("ensemble", value={}), "/ensemble", "ensembles are not implemented"),
    (put("indicators", value=[{"name": "rsi"}]), "/indicators", "version 2"),
    (put("indicators", "rsi_14", value={"type": "rsj"}), "/indicators/rsi_14/type", "did you mean rsi?"),
    (put("indicators", "rsi_14", value={"period": 14}), "/indicators/rsi_14", "type is missing"),
    (put("indicators", "rsi_14", "peroid", value=3), "/indicators/rsi_14/peroid", "did you mean period?"),
    (put("indicators", "rsi_14", "period", value=1), "/indicators/rsi_14/period", "at least 2"),
    (put("indicators", "rsi_14", "period", value=2.5), "/indicators/rsi_14/period", "whole number"),
    (put("indicators", "rsi_14", "period", value="14"), "/indicators/rsi_14/period", "must be a number"),
    (put("indicators", "rsi_14", "period", value=True), "/indicators/rsi_14/period", "must be a number"),
    (put("indicators", "rsi_14", "source", value="clsoe"), "/indicators/rsi_14/source", "must be one of close"),
    (put("indicators", "rsi_14", "timeframe", value="1d"), "/indicators/rsi_14/timeframe", "nn_inputs selects"),
    (put("indicators", "z", value={"type": "zigzag"}), "/indicators/z/type", "repaints"),
    (put("indicators", "m", value={"type": "macd", "fast": 30, "slow": 20}), "/indicators/m", "less than"),
    (put("indicators", "m", value={"type": "macd", "fast": 3, "fast_period": 3}), "/indicators/m/fast_period", "means the same"),
    (put("indicators", "no-dash", value={"type": "rsi"}), "/indicators/no-dash", "letters, digits and underscores"),
    (put("fuzzy_sets", "momentum", "indicator", value="rsi_41"), "/fuzzy_sets/momentum/indicator", "did you mean rsi_14?"),
    (put("fuzzy_sets", "momentum", "indicator", value="rsi_14.upper"), "/fuzzy_sets/momentum/indicator", "no output of rsi"),
    (put("fuzzy_sets", "momentum", "low", value=[50, 30, 10]), "/fuzzy_sets/momentum/low", "a <= b <= c"),
    (put("fuzzy_sets", "momentum", "low", value=[1, 2]), "/fuzzy_sets/momentum/low", "list of 2 numbers"),
    (put("fuzzy_sets", "momentum", "low", value=[5, 5, 5]), "/fuzzy_sets/momentum/low", "a < c"),
    (put("fuzzy_sets", "momentum", "low", value=5), "/fuzzy_sets/momentum/low", "a membership must be a list"),
    (put("fuzzy_sets", "momentum", "low", value={"type": "gaussian", "parameters": [1, 0]}), "/fuzzy_sets/momentum/low", "sigma > 0"),
    (put("fuzzy_sets", "momentum", "low", value={"type": "sigmoid", "parameters": [1, 0]}), "/fuzzy_sets/momentum/low/type", "'triangular'"),
    (put("fuzzy_sets", "momentum", "low", value={"type": "triangular", "parameters": [0, 1, 2], "parms": 1}), "/fuzzy_sets/momentum/low/parms", "did you mean parameters?"),
    (put("nn_inputs", 0, "timeframe", value="1d"), "/nn_inputs/0/timeframe", "did you mean timeframes?"),
    (put("indicators", value={}), "/indicators", "must have at least 1 entry"),
    (put("indicators", value=None), "/indicators", "must be a section, not nothing"),
    (put("model", value=[1]), "/model", "must be a section"),
    (put("training", "early_stopping", value={"patiense": 3}), "/training/early_stopping/patiense", "did you mean patience?"),
    (put("fuzzy_sets", "empty", value={"indicator": "rsi_14"}), "/fuzzy_sets/empty", "at least one membership"),
    (put("nn_inputs", value=[]), "/nn_inputs", "must have at least 1 entry"),
    (put("nn_inputs", 0, "fuzzy_set", value="momentun"), "/nn_inputs/0/fuzzy_set", "did you mean momentum?"),
    (put("nn_inputs", 0, "timeframes", value=["1h"]), "/nn_inputs/0/timeframes", "not a timeframe of training_data"),
    (put("nn_inputs", 0, "timeframes", value=["7h"]), "/nn_inputs/0/timeframes/0", "not a timeframe; choose"),
    (put("nn_inputs", 0, "normalization", value="zscore"), "/nn_inputs/0", "already between 0 and 1"),
    (put("nn_inputs", 0, "raw_indicator", value="rsi_14"), "/nn_inputs/0", "either a fuzzy_set or a raw_indicator"),
    (put("nn_inputs", value=[{"fuzzy_set": "momentum"}, {"fuzzy_set": "momentum"}]), "/nn_inputs", "is defined 2 times"),
    (put("training_data", "symbols", value={"mode": "multi_symbol", "list": ["A", "A"]}), "/training_data/symbols", "A appears more than once"),
    (put("training_data", "symbols", "mode", value="many"), "/training_data/symbols/mode", "choose from single, multi_symbol"),
    (put("training_data", "timeframes", value={"mode": "multi_timeframe", "list": ["1d"], "base_timeframe": "1h"}), "/training_data/timeframes", "is not in list"),
    (put("training_data", "start_date", value="01.02.2010"), "/training_data/start_date", "YYYY-MM-DD"),
    (put("training_data", "date_range", value={"start": "2011-01-01", "end": "2010-01-01"}), "/training_data", "must be before end"),
    (put("model", "type", value="transformer"), "/model/type", "choose from mlp"),
    (put("model", "architecture", value={"hidden_layers": [0]}), "/model/architecture/hidden_layers/0", "must be at least 1, not 0"),
    (put("model", "architecture", value={"rules": 5}), "/model/architecture/rules", "unknown key"),
    (put("model", "architecture", value={"output_activation": "linear"}), "/model/architecture/output_activation", "must be softmax for output_format classification"),
    (put("decisions", "output_format", value="regresion"), "/decisions/output_format", "did you mean regression?"),
    (put("decisions", "cost_model", value={}), "/decisions/cost_model", "belongs to output_format regression"),
    (put("decisions", "filters", value={"volume_filter": True}), "/decisions/filters/volume_filter", "must be false, not true"),
    (put("training", "labels", "source", value="triple"), "/training/labels/source", "did you mean triple_barrier?"),
    (put("training", "labels", "horizon", value=0), "/training/labels/horizon", "must be at least 1, not 0"),
    (put("training", "labels", "zigzag_threshold", value=0.1), "/training/labels/zigzag_threshold", "unknown key"),
    (put("training", "loss", value="huber"), "/training/loss", "does not fit output_format classification"),
    (put("training", "huber_delta", value=0.1), "/training/huber_delta", "belongs to huber"),
    (put("training", "momentum", value=0.9), "/training/momentum", "belongs to sgd"),
    (put("training", "learning_rate", value="fast"), "/training/learning_rate", "must be a number, not 'fast'"),
    (put("training", "data_split", value={"train": 0.5, "validation": 0.1, "test": 0.1}), "/training/data_split", "add up to 0.7"),
    (put("training", "class_weights", value=5), "/training/class_weights", "must be 'none' or 'balanced' or a list, not 5"),
    (put("training", "class_weights", value=[1, 2]), "/training/class_weights", "the list has too few entries"),
    (put("training", "optimizer", value="x" * 200), "/training/optimizer", f"not '{'x' * 79}…'"),
    (put("training", "lr_scheduler", value={"type": "cosin"}), "/training/lr_scheduler/type", "did you mean cosine?"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "at", "sentence"), WRONG, ids=[f"{at} {s}" for _, at, s in WRONG])
def test_each_mistake_is_rejected_at_its_position(
    change: Callable[[Data], None], at: str, sentence: str
) -> None:
    """Lesson Q30: no key is silently ignored."""
    errors = errors_of(strategy_text(change))
    assert any(pointer == at and sentence in message for pointer, message in errors), errors


@pytest.mark.parametrize(
    ("value", "start"),
    [
        (["7h"], "'7h' is not a timeframe; choose from"),
        (5, "must be 'all' or a list, not 5"),
    ],
)
def test_a_value_that_may_be_a_word_or_a_list_gives_one_error(value: object, start: str) -> None:
    [(_, message)] = errors_of(strategy_text(put("nn_inputs", 0, "timeframes", value=value)))
    assert message.startswith(start)


def test_all_problems_are_reported_at_once() -> None:
    def change(data: Data) -> None:
        data["model"]["typ"] = 1
        data["training"]["epoch"] = 3
        data["indicators"]["rsi_14"]["period"] = 0

    assert [at for at, _ in errors_of(strategy_text(change))] == [
        "/indicators/rsi_14/period", "/model/typ", "/training/epoch",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("- a\n- b\n", "must consist of sections"),
        ("name: a\nname: b\n", "'name' appears twice in this section, first on line 1"),
        ("a: &x [1]\nb: *x\n", "anchors and aliases"),
        ("a: {<<: {b: 1}}\n", "merge keys"),
        ("a:\n\tb: 1\n", "a tab cannot start a value or indent a line"),
        ("a: !!python/object:os.system x\n", "the tag"),
        ("a: 1\n---\nb: 2\n", "a second YAML document"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: " + "[" * 40 + "]" * 40, "nested more than 24 levels deep"),
        ("a: [" + "1," * 21_000 + "]", "more than 20000 values"),
        ("a: " + "9" * 30, "too large"),
        ("? [1, 2]\n: 3\n", "a key must be plain text"),
        ("a: \x00\n", "a character that YAML does not allow"),
        ("x" * 300_000, "300000 characters"),
    ],
    ids=str,
)
def test_dangerous_or_ambiguous_yaml_is_rejected(text: str, sentence: str) -> None:
    assert sentence in errors_of(text)[0][1]


@pytest.mark.parametrize("kind", [TrainedStrategy, RulesStrategy])
def test_every_section_of_the_schema_rejects_unknown_keys(
    kind: type[TrainedStrategy | RulesStrategy],
) -> None:
    schema = kind.model_json_schema()
    open_sections = [
        name
        for name, node in [*schema["$defs"].items(), ("the file", schema)]
        if node.get("type") == "object" and node.get("additionalProperties") is not False
    ]
    assert open_sections == []


def test_a_gap_between_memberships_is_a_warning_with_its_position() -> None:
    """Lesson Q26."""
    strategy = strategy_with(put("fuzzy_sets", "momentum", "low", value=[0, 0, 10, 30]))
    [warning] = strategy.warnings
    assert warning.pointer == "/fuzzy_sets/momentum"
    assert "no membership covers rsi_14 between 30 and 40" in warning.message
    assert warning.line > 1


def test_an_unused_indicator_is_a_warning() -> None:
    strategy = strategy_with(put("indicators", "spare", value={"type": "sma"}))
    assert [(w.pointer, w.message) for w in strategy.warnings] == [
        ("/indicators/spare", "spare is not computed: no input uses it")
    ]


def test_an_indicator_that_accumulates_from_the_first_bar_is_a_warning() -> None:
    def with_volume(data: Data) -> None:
        data["indicators"]["flow"] = {"type": "obv"}
        data["nn_inputs"].append({"raw_indicator": "flow", "normalization": "zscore"})

    [warning] = strategy_with(with_volume).warnings
    assert warning.pointer == "/indicators/flow"
    assert "obv accumulates from the first bar of the data" in warning.message


def test_older_spellings_are_accepted() -> None:
    """`model.training`, `{symbols: [...]}`, `3.0` as a number and indicator names in other case are accepted."""

    def older(data: Data) -> None:
        data["version"] = 3.0
        data["model"]["training"] = {"learning_rate": 0.01, "epochs": 7}
        data["training_data"]["symbols"] = {"mode": "multi_symbol", "symbols": ["A", "B"]}
        data["indicators"]["rsi_14"]["type"] = "RSI"

    strategy = strategy_with(older)
    assert strategy.training.learning_rate == 0.01
    assert strategy.training.epochs == 7
    assert strategy.symbols == ("A", "B")


def test_a_key_in_both_places_of_training_is_rejected() -> None:
    def twice(data: Data) -> None:
        data["model"]["training"] = {"epochs": 7}
        data["training"]["epochs"] = 9

    assert errors_of(strategy_text(twice)) == [
        ("/model/training/epochs", "epochs is also set in training; keep one of them")
    ]


def test_defaults_that_depend_on_other_keys_are_filled_in() -> None:
    strategy = strategy_with(lambda data: None)
    assert strategy.training.loss == "cross_entropy"
    assert strategy.training.label_smoothing == 0.0
    assert strategy.training.focal_gamma is None
    assert isinstance(strategy.training.labels, ForwardReturnLabels)
    assert strategy.training.labels.threshold == 0.0
    assert strategy.label_horizon == 5


def test_dotted_outputs_and_bare_names_resolve() -> None:
    def macd(data: Data) -> None:
        data["indicators"]["m"] = {"type": "macd"}
        data["fuzzy_sets"]["trend"] = {"indicator": "m.histogram", "up": [0, 1, 2]}
        data["nn_inputs"].append({"fuzzy_set": "trend", "timeframes": ["1d"]})
        data["nn_inputs"].append({"raw_indicator": "m", "normalization": "minmax"})

    features = {feature.name: feature for feature in strategy_with(macd).features}
    up, raw = features["1d_trend_up"], features["1d_m_raw"]
    assert (up.indicator, up.output) == ("m", "histogram")
    assert (raw.output, raw.normalization) == ("line", "minmax")


def test_a_strategy_cannot_be_changed() -> None:
    strategy = strategy_with(lambda data: None)
    with pytest.raises(ValueError, match="frozen"):
        strategy.name = "other"


def test_the_grammar_needs_only_pydantic_and_yaml() -> None:
    code = (
        "import sys, workers.strategy.grammar, workers.strategy.indicator_catalog;"
        "print([m for m in ('numpy', 'pandas', 'torch', 'numba', 'talib', 'aiohttp') if m in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def many_inputs(timeframes: int, entries: int, memberships: int, lags: int) -> str:
    """A file whose sections multiply: timeframes x entries x memberships x bars."""

    def change(data: Data) -> None:
        names = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"][:timeframes]
        data["training_data"]["timeframes"] = {
            "mode": "multi_timeframe", "list": names, "base_timeframe": names[0],
        }  # fmt: skip
        sets = {f"m{n}": [n, n + 1, n + 2] for n in range(memberships)}
        data["fuzzy_sets"] = {"momentum": {"indicator": "rsi_14", **sets}}
        data["nn_inputs"] = [{"fuzzy_set": "momentum"} for _ in range(entries)]
        data["model"]["features"] = {"lookback_periods": lags}

    return strategy_text(change)


@pytest.mark.parametrize(
    ("shape", "count", "at", "because"),
    [
        ((8, 500, 100, 100), "40,400,000", "/nn_inputs/0", "gives 800 (8 timeframes x 100 memberships)"),
        ((1, 1, 2001, 0), "2,001", "/nn_inputs/0", "1 timeframes x 2,001 memberships"),
        ((1, 1, 30, 99), "3,000", "/model/features/lookback_periods", "repeats 30 inputs 100 times"),
    ],
)
def test_too_many_inputs_are_refused_with_their_number_and_the_section_that_multiplies(
    shape: tuple[int, int, int, int], count: str, at: str, because: str
) -> None:
    ((pointer, message),) = errors_of(many_inputs(*shape))
    assert pointer == at
    assert f"{count} inputs; the limit is 2,000" in message
    assert because in message


def test_millions_of_inputs_are_refused_without_building_them() -> None:
    text = many_inputs(8, 500, 100, 100)
    tracemalloc.start()
    try:
        assert len(errors_of(text)) == 1
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def test_two_thousand_inputs_are_accepted() -> None:
    assert len(parse_strategy(many_inputs(1, 1, 20, 99)).input_names) == 2000


@pytest.mark.parametrize("model", ["mlp", "lstm", "gru"])
@pytest.mark.parametrize("kind", ["sma", "bbands", "supertrend", "obv"])
def test_an_input_of_the_size_of_a_price_is_warned_of_unless_it_is_scaled(model: str, kind: str) -> None:
    def change(data: Data) -> None:
        data["indicators"]["x"] = {"type": kind}
        data["nn_inputs"].append({"raw_indicator": "x"})
        data["model"]["type"] = model

    def warnings(further: Callable[[Data], object]) -> list[str]:
        strategy = strategy_with(lambda data: (change(data), further(data)))
        return [w.message for w in strategy.warnings if "size of a price or volume" in w.message]

    assert len(warnings(lambda data: None)) == 1
    assert warnings(lambda data: data["nn_inputs"][1].update(normalization="zscore")) == []
    assert warnings(lambda data: data["model"].update(features={"scale_features": True})) == []


@pytest.mark.parametrize("kind", ["roc", "momentum"])
def test_the_return_of_one_bar_is_an_input(kind: str) -> None:
    strategy = strategy_with(put("indicators", "x", value={"type": kind, "period": 1}))
    assert strategy.warm_up_rows("x") == 1


def test_one_mistake_in_hundreds_of_places_is_listed_up_to_a_limit() -> None:
    text = strategy_text() + "".join(f"unknown{number}: 1\n" for number in range(500))
    with pytest.raises(StrategyError) as raised:
        parse_strategy(text)
    assert len(raised.value.errors) == MOST_ERRORS
    assert raised.value.count == 500
    assert str(raised.value).endswith("; and 400 more")
