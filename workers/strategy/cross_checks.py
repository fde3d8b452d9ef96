"""Check sections against each other: dangling names and contradictions."""

from collections import Counter
from collections.abc import Iterator

from workers.strategy.catalog import nearest_name
from workers.strategy.definition import Strategy
from workers.strategy.errors import UnplacedProblem, pointer
from workers.strategy.expression_checks import circle_problems, name_problems
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.quoting import quote
from workers.strategy.sections.labels import ForwardReturnLabels
from workers.strategy.sections.model import TSKModel
from workers.strategy.sections.model_inputs import NNInput
from workers.strategy.sections.training import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from workers.strategy.trained_strategy import TrainedStrategy

_HIDDEN_OUTPUTS = {
    "chikou": "the lagging line is a future close; it cannot be an input",
    "senkou_a": "use span_a, the same line as known at the bar, without the forward shift",
    "senkou_b": "use span_b, the same line as known at the bar, without the forward shift",
}
MAX_INPUTS = 2_000


def find_dangling_names(strategy: Strategy) -> list[UnplacedProblem]:
    """Return the names that are defined nowhere, or twice, in a file whose sections are valid on their own."""
    inputs = _input_reference_problems(strategy) if isinstance(strategy, TrainedStrategy) else ()
    return [*name_problems(strategy), *_fuzzy_set_problems(strategy), *inputs]


def find_contradictions(strategy: Strategy) -> list[UnplacedProblem]:
    """Return the problems of a file whose sections, names and expressions are valid on their own."""
    if circle := [*circle_problems(strategy)]:
        return circle
    if not isinstance(strategy, TrainedStrategy):
        return []
    return [*_size_problems(strategy)] or [
        *_repeated_input_problems(strategy),
        *_training_problems(strategy),
        *_model_problems(strategy),
    ]


def _fuzzy_set_problems(strategy: Strategy) -> Iterator[UnplacedProblem]:
    for name, fuzzy_set in strategy.fuzzy_sets.items():
        if message := _reference_problem(strategy, fuzzy_set.indicator):
            yield pointer("fuzzy_sets", name, "indicator"), message


def _input_reference_problems(strategy: TrainedStrategy) -> Iterator[UnplacedProblem]:
    for position, entry in enumerate(strategy.nn_inputs):
        yield from _input_problems(strategy, entry, position)


def _input_problems(strategy: TrainedStrategy, entry: NNInput, position: int) -> Iterator[UnplacedProblem]:
    at = ("nn_inputs", position)
    if entry.fuzzy_set is not None and entry.fuzzy_set not in strategy.fuzzy_sets:
        yield pointer(*at, "fuzzy_set"), _no_such("fuzzy set", entry.fuzzy_set, list(strategy.fuzzy_sets))
    if entry.raw_indicator is not None and (message := _reference_problem(strategy, entry.raw_indicator)):
        yield pointer(*at, "raw_indicator"), message
    for timeframe in () if entry.timeframes == "all" else entry.timeframes:
        if timeframe not in strategy.timeframes:
            listed = ", ".join(strategy.timeframes)
            yield pointer(*at, "timeframes"), f"{timeframe} is not a timeframe of training_data ({listed})"


def _reference_problem(strategy: Strategy, reference: str) -> str | None:
    name, dot, output = reference.partition(".")
    if name not in strategy.indicators:
        return _no_such("indicator", name, list(strategy.indicators))
    entry = INDICATORS[strategy.indicators[name].type]
    if dot and entry.output(output) is None:
        return _HIDDEN_OUTPUTS.get(output) or _no_such(
            f"output of {entry.name}", output, [line.name for line in entry.outputs]
        )
    return None


def _no_such(kind: str, name: str, valid: list[str]) -> str:
    near = nearest_name(name, valid)
    if near:
        hint = f"did you mean {near}?"
    else:
        hint = f"choose from {', '.join(valid)}" if valid else "the file defines none"
    return f"no {kind} is named {quote(name)}; {hint}"


def _size_problems(strategy: TrainedStrategy) -> Iterator[UnplacedProblem]:
    """Reject more inputs than `MAX_INPUTS`, counted without building them."""
    entries = [strategy.inputs_of_entry(entry) for entry in strategy.nn_inputs]
    of_one_bar, bars = sum(entries), strategy.model.features.lookback_periods + 1
    if of_one_bar * bars <= MAX_INPUTS:
        return
    counted = f"the model would have {of_one_bar * bars:,} inputs; the limit is {MAX_INPUTS:,}"
    if of_one_bar <= MAX_INPUTS:
        repeated = f"lookback_periods repeats {of_one_bar:,} inputs {bars:,} times"
        yield "/model/features/lookback_periods", f"{counted}: {repeated}"
        return
    largest = max(range(len(entries)), key=lambda position: entries[position])
    entry = strategy.nn_inputs[largest]
    timeframes = len(strategy.timeframes if entry.timeframes == "all" else entry.timeframes)
    memberships = entries[largest] // timeframes
    product = f"{timeframes} timeframes x {memberships:,} memberships"
    message = (
        f"{counted}: nn_inputs has {len(entries)} entries; this one gives {entries[largest]:,} ({product})"
    )
    yield pointer("nn_inputs", largest), message


def _repeated_input_problems(strategy: TrainedStrategy) -> Iterator[UnplacedProblem]:
    counts = Counter(feature.name for feature in strategy.features)
    for name, count in counts.items():
        if count > 1:
            yield "/nn_inputs", f"the input {name} is defined {count} times"


def _training_problems(strategy: TrainedStrategy) -> Iterator[UnplacedProblem]:
    training, output_format = strategy.training, strategy.decisions.output_format
    losses = CLASSIFICATION_LOSSES if strategy.is_classification else REGRESSION_LOSSES
    if training.loss is not None and training.loss not in losses:
        yield (
            "/training/loss",
            f"{training.loss} does not fit output_format {output_format}; use {' or '.join(losses)}",
        )
    yield from _inapplicable_keys(strategy)
    if strategy.is_classification:
        return
    if not isinstance(training.labels, ForwardReturnLabels):
        message = f"{training.labels.source} labels are classes; a regression needs forward_return labels"
        yield "/training/labels/source", message
    elif training.labels.threshold is not None:
        yield "/training/labels/threshold", "threshold splits returns into classes, and a regression has none"
    if training.class_weights != "none":
        yield "/training/class_weights", "class_weights has no effect in a regression"


def _inapplicable_keys(strategy: TrainedStrategy) -> Iterator[UnplacedProblem]:
    """Reject keys of a loss or an optimiser that the strategy does not use."""
    training = strategy.training
    loss, optimizer = strategy.loss, training.optimizer
    for key, owner, belongs in (
        ("focal_gamma", loss, "focal"),
        ("huber_delta", loss, "huber"),
        ("label_smoothing", loss, "cross_entropy"),
        ("momentum", optimizer, "sgd"),
    ):
        if getattr(training, key) is not None and owner != belongs:
            yield pointer("training", key), f"{key} has no effect with {owner}; it belongs to {belongs}"


def _model_problems(strategy: TrainedStrategy) -> Iterator[UnplacedProblem]:
    activation = strategy.model.architecture.output_activation
    required = "softmax" if strategy.is_classification else "linear"
    if activation is not None and activation != required:
        message = f"must be {required} for output_format {strategy.decisions.output_format}, not {activation}"
        yield "/model/architecture/output_activation", message
    if isinstance(strategy.model, TSKModel) and not strategy.model.features.scale_features:
        for position, entry in enumerate(strategy.nn_inputs):
            if entry.raw_indicator is not None and entry.normalization in (None, "none"):
                message = "rules need inputs of one scale: set normalization, or model.features.scale_features: true"
                yield pointer("nn_inputs", position), message
