"""What only shows when sections are read together: dangling names, contradictions, things without use."""

from collections import Counter
from collections.abc import Iterator

from workers.strategy.catalog import nearest_name
from workers.strategy.definition import Strategy
from workers.strategy.errors import UnplacedProblem, pointer
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.sections.labels import ForwardReturnLabels
from workers.strategy.sections.model import TSKModel
from workers.strategy.sections.model_inputs import NNInput
from workers.strategy.sections.training import CLASSIFICATION_LOSSES, REGRESSION_LOSSES

_HIDDEN_OUTPUTS = {
    "chikou": "the lagging line is the future's close; it cannot be an input",
    "senkou_a": "use span_a, the same line as it is known at the bar, without its shift forward",
    "senkou_b": "use span_b, the same line as it is known at the bar, without its shift forward",
}
_ADDING_UP = ("obv", "adline")
"""Lines whose level is a sum from the first bar of the data on."""


def find_contradictions(strategy: Strategy) -> list[UnplacedProblem]:
    """Everything for which the file is refused although each section is valid alone."""
    dangling = [*_dangling_references(strategy)]
    return dangling or [
        *_repeated_inputs(strategy),
        *_training_against_decisions(strategy),
        *_model_fit(strategy),
    ]


def unused_warnings(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Warnings: indicators and fuzzy sets that no input of the model comes from."""
    indicators = {feature.indicator for feature in strategy.features}
    sets = {feature.fuzzy_set for feature in strategy.features}
    for name in strategy.indicators:
        if name not in indicators:
            yield pointer("indicators", name), f"{name} is not computed: no input uses it"
    for name in strategy.fuzzy_sets:
        if name not in sets:
            yield pointer("fuzzy_sets", name), f"{name} has no effect: nn_inputs does not name it"


def unanchored_warnings(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Warnings: inputs whose values depend on where the data begin."""
    for name in dict.fromkeys(feature.indicator for feature in strategy.features):
        kind = strategy.indicators[name].type
        if kind in _ADDING_UP:
            sentence = (
                f"{kind} adds up from the first bar of the data, so a longer file gives every bar another value; "
                "cmf, mfi and volumeratio tell of volume without that"
            )
            yield pointer("indicators", name), sentence


def _dangling_references(strategy: Strategy) -> Iterator[UnplacedProblem]:
    for name, fuzzy_set in strategy.fuzzy_sets.items():
        if sentence := _unresolved(strategy, fuzzy_set.indicator):
            yield pointer("fuzzy_sets", name, "indicator"), sentence
    for position, entry in enumerate(strategy.nn_inputs):
        yield from _dangling_input(strategy, entry, position)


def _dangling_input(strategy: Strategy, entry: NNInput, position: int) -> Iterator[UnplacedProblem]:
    at = ("nn_inputs", position)
    if entry.fuzzy_set is not None and entry.fuzzy_set not in strategy.fuzzy_sets:
        yield pointer(*at, "fuzzy_set"), _no_such("fuzzy set", entry.fuzzy_set, list(strategy.fuzzy_sets))
    if entry.raw_indicator is not None and (sentence := _unresolved(strategy, entry.raw_indicator)):
        yield pointer(*at, "raw_indicator"), sentence
    for timeframe in () if entry.timeframes == "all" else entry.timeframes:
        if timeframe not in strategy.timeframes:
            listed = ", ".join(strategy.timeframes)
            yield pointer(*at, "timeframes"), f"{timeframe} is not a timeframe of training_data ({listed})"


def _unresolved(strategy: Strategy, reference: str) -> str | None:
    name, dot, output = reference.partition(".")
    if name not in strategy.indicators:
        return _no_such("indicator", name, list(strategy.indicators))
    entry = INDICATORS[strategy.indicators[name].type]
    if dot and entry.output(output) is None:
        return _HIDDEN_OUTPUTS.get(output) or _no_such(
            f"output of {entry.name}", output, [line.name for line in entry.outputs]
        )
    return None


def _no_such(what: str, name: str, valid: list[str]) -> str:
    near = nearest_name(name, valid)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(valid) or 'none'}"
    return f"there is no {what} {name!r}; {hint}"


def _repeated_inputs(strategy: Strategy) -> Iterator[UnplacedProblem]:
    counts = Counter(feature.name for feature in strategy.features)
    for name, count in counts.items():
        if count > 1:
            yield "/nn_inputs", f"the input {name} arises {count} times"


def _training_against_decisions(strategy: Strategy) -> Iterator[UnplacedProblem]:
    training, output_format = strategy.training, strategy.decisions.output_format
    losses = CLASSIFICATION_LOSSES if strategy.is_classification else REGRESSION_LOSSES
    if training.loss is not None and training.loss not in losses:
        yield (
            "/training/loss",
            f"{training.loss} does not fit output_format {output_format}; use {' or '.join(losses)}",
        )
    yield from _keys_of_other_losses(strategy)
    if strategy.is_classification:
        return
    if not isinstance(training.labels, ForwardReturnLabels):
        sentence = f"{training.labels.source} labels are classes; regression is taught by forward_return"
        yield "/training/labels/source", sentence
    elif training.labels.threshold is not None:
        yield "/training/labels/threshold", "threshold cuts returns into classes; regression has none"
    if training.class_weights != "none":
        yield "/training/class_weights", "class_weights has no effect in a regression"


def _keys_of_other_losses(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Keys of a loss or optimiser that is not the default in force where the file names none."""
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


def _model_fit(strategy: Strategy) -> Iterator[UnplacedProblem]:
    stated = strategy.model.architecture.output_activation
    fitting = "softmax" if strategy.is_classification else "linear"
    if stated is not None and stated != fitting:
        yield "/model/architecture/output_activation", f"{strategy.decisions.output_format} ends in {fitting}"
    if isinstance(strategy.model, TSKModel) and not strategy.model.features.scale_features:
        for position, entry in enumerate(strategy.nn_inputs):
            if entry.raw_indicator is not None and entry.normalization in (None, "none"):
                sentence = "rules need inputs of one size: give normalization, or model.features.scale_features: true"
                yield pointer("nn_inputs", position), sentence
