"""Check the `indicators` section against the catalog: types, parameters, bounds, outputs."""

from typing import Any

from workers.strategy.catalog import UNSUPPORTED_INDICATORS, IndicatorEntry, Value, nearest_name
from workers.strategy.errors import UnplacedProblem, pointer
from workers.strategy.indicator_catalog import EXPRESSION, INDICATORS, find_indicator
from workers.strategy.quoting import quote
from workers.strategy.sections.model_inputs import Indicator

_ELSEWHERE = {
    "timeframe": "an indicator has no timeframe; nn_inputs selects the timeframes that it is used on",
    "data_source": "other data providers are not implemented; an indicator reads the bars of its symbol",
    "name": "the key of this entry is already its name",
    "include_oscillator": "the oscillator is always available as the output oscillator",
    "include_middle": "the middle line is always available as the output middle",
    "displacement": "spans are computed as known at the bar, without a forward shift",
    "adjust": "the average starts with the simple average of the first period, as in TA-Lib",
}


def read_indicators(data: dict[str, Any]) -> tuple[dict[str, Any], list[UnplacedProblem]]:
    """Return `data` with its indicators as `Indicator` values, without the invalid ones, and their problems."""
    section = data.get("indicators")
    if not isinstance(section, dict):
        return data, []
    problems: list[UnplacedProblem] = []
    indicators: dict[str, Indicator] = {}
    for name, spec in section.items():
        indicator, further = read_indicator(spec, pointer("indicators", name))
        problems += further
        if indicator is not None:
            indicators[name] = indicator
    return data | {"indicators": indicators}, problems


def read_indicator(spec: Any, at: str) -> tuple[Indicator | None, list[UnplacedProblem]]:
    """Read one entry at the pointer `at`: return the indicator with all parameter values, or its problems."""
    if not isinstance(spec, dict):
        return None, [(at, "an indicator must be a section such as {type: rsi, period: 14}")]
    kind = spec.get("type")
    if not isinstance(kind, str):
        return None, [(at, "type is missing; name an indicator, for example type: rsi")]
    entry = find_indicator(kind)
    if entry is None:
        return None, [(at + "/type", _unknown_type(kind))]
    if entry.name == EXPRESSION and "expression" not in spec:
        return None, [(at, 'expression is missing here; write a formula such as expression: "close / open"')]
    parameters, problems = _parameters(entry, {k: v for k, v in spec.items() if k != "type"}, at)
    if problems:
        return None, problems
    return Indicator(type=entry.name, parameters=parameters), []


def _unknown_type(kind: str) -> str:
    if kind.lower() in UNSUPPORTED_INDICATORS:
        return UNSUPPORTED_INDICATORS[kind.lower()]
    near = nearest_name(kind, list(INDICATORS))
    hint = f"did you mean {near}?" if near else f"choose from {', '.join(sorted(INDICATORS))}"
    return f"unknown indicator {quote(kind)}; {hint}"


def _parameters(
    entry: IndicatorEntry, spec: dict[str, Any], at: str
) -> tuple[dict[str, Value], list[UnplacedProblem]]:
    values: dict[str, Value] = {parameter.name: parameter.default for parameter in entry.parameters}
    problems: list[UnplacedProblem] = []
    seen: dict[str, str] = {}
    for key, value in spec.items():
        parameter = entry.parameter(key)
        if parameter is None:
            problems.append((f"{at}{pointer(key)}", _unknown_parameter(entry, key)))
            continue
        if parameter.kind == "choice" and isinstance(value, str):
            value = value.lower()
        if parameter.name in seen:
            problems.append(
                (f"{at}{pointer(key)}", f"{key} means the same as {seen[parameter.name]}; keep one of them")
            )
        elif requirement := parameter.check(value):
            problems.append(
                (f"{at}{pointer(key)}", f"{key} of {entry.name} {requirement}, not {quote(value)}")
            )
        else:
            values[parameter.name] = float(value) if parameter.kind == "float" else value
        seen[parameter.name] = key
    if not problems and entry.needs_order:
        small, large = entry.needs_order
        if not values[small] < values[large]:  # type: ignore[operator]  # both are numbers by their kind
            problems.append((at, f"{small} {values[small]} must be less than {large} {values[large]}"))
    return values, problems


def _unknown_parameter(entry: IndicatorEntry, key: str) -> str:
    if key in _ELSEWHERE:
        return _ELSEWHERE[key]
    valid = [parameter.name for parameter in entry.parameters]
    if entry.name == EXPRESSION and ")" in key:
        return "a comma ends a value inside { }; put the whole expression in quotes"
    if not valid:
        return f"{entry.name} has no parameters"
    near = nearest_name(key, valid)
    hint = f"did you mean {near}?" if near else f"valid parameters are {', '.join(valid)}"
    return f"{entry.name} has no parameter {quote(key)}; {hint}"
