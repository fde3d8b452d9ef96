"""Groups of the form whose entries have names of their own: indicators, fuzzy sets, constants, and the list of inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from strategies.form.fields import choice_field, field_of, help_of, text_field
from strategies.form.parts import Adder, Entry, Group, Other, field_name
from strategies.form.shapes import Shape
from workers.strategy.catalog import MEMBERSHIPS, IndicatorEntry, IndicatorParameter
from workers.strategy.expressions.functions import FIELDS
from workers.strategy.indicator_catalog import INDICATORS, find_indicator
from workers.strategy.nested_values import Path
from workers.strategy.text_spelling import flow_value

NAME_HELP = "Letters, digits and underscores."
MEMBERSHIP_HELP = "Three numbers: triangle. Four: trapezoid."
_NUMBERS = Shape("list", has_number_items=True)
_MEMBERSHIP_TYPE = Shape("choice", {name: name for name in MEMBERSHIPS})
_INDICATOR_TYPE = Shape("choice", {name: name for name in INDICATORS})


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a file defines."""

    outputs: tuple[str, ...]
    fuzzy_sets: tuple[str, ...]
    members: tuple[str, ...]
    constants: tuple[str, ...]

    def for_key(self, key: str) -> tuple[str, ...]:
        """Return the names that the value of a key can be; none if it can be any text."""
        return {"fuzzy_set": self.fuzzy_sets, "raw_indicator": self.outputs}.get(key, ())


def names_of(data: Mapping[str, Any]) -> Names:
    """Read the names, and leave out what has the wrong form."""
    fuzzy_sets = _mapping(data.get("fuzzy_sets"))
    return Names(
        tuple(
            output
            for name, entry in _mapping(data.get("indicators")).items()
            for output in _outputs(name, entry)
        ),
        tuple(fuzzy_sets),
        tuple(
            f"{name}.{key}"
            for name, members in fuzzy_sets.items()
            for key in _mapping(members)
            if key != "indicator"
        ),
        tuple(_mapping(data.get("constants"))),
    )


def _outputs(name: str, entry: object) -> tuple[str, ...]:
    indicator = find_indicator(str(_mapping(entry).get("type")))
    outputs = indicator.outputs if indicator else ()
    return (name,) if len(outputs) < 2 else tuple(f"{name}.{output.name}" for output in outputs)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _build_indicators(path: Path, title: str, data: Mapping[str, Any], names: Names) -> Group:
    group = Group(path, title)
    for name, values in data.items():
        if isinstance(values, dict):
            group.groups.append(_indicator((*path, name), name, values))
        else:
            group.others.append(Other((*path, name), flow_value(values)))
    group.adder = Adder(
        path,
        "Add indicator",
        (
            text_field(_adder_name(path, "name"), "Name", NAME_HELP),
            choice_field(_adder_name(path, "type"), "Indicator", tuple(INDICATORS)),
        ),
    )
    return group


def _indicator(path: Path, name: str, values: Mapping[str, Any]) -> Group:
    indicator = find_indicator(str(values.get("type")))
    group = Group(path, name, indicator.title if indicator else "", is_removable=True, selector="type")
    group.keys_of_variants = {entry.name: _keys(entry) for entry in INDICATORS.values()}
    if indicator and indicator.name != values.get("type"):
        group.keys_of_variants[str(values.get("type"))] = _keys(indicator)
    _add(group, "type", "Indicator", _INDICATOR_TYPE, values, "", is_required=True)
    for parameter in indicator.parameters if indicator else ():
        key = next((key for key in (parameter.name, *parameter.aliases) if key in values), parameter.name)
        _add(
            group,
            key,
            key.replace("_", " ").capitalize(),
            _parameter_shape(parameter),
            values,
            _parameter_help(parameter),
        )
    _add_others(group, values)
    return group


def _keys(entry: IndicatorEntry) -> frozenset[str]:
    return frozenset(key for parameter in entry.parameters for key in (parameter.name, *parameter.aliases))


def _parameter_shape(parameter: IndicatorParameter) -> Shape:
    match parameter.kind:
        case "int" | "float":
            return Shape("number")
        case "choice":
            return Shape("choice", {choice: choice for choice in parameter.choices})
        case "bool":
            return Shape("choice", {"true": True, "false": False})
    return Shape("area" if parameter.kind == "expression" else "text")


def _parameter_help(parameter: IndicatorParameter) -> str:
    if parameter.kind == "expression":
        return f"For example {parameter.default}."
    limits = "" if parameter.minimum is None else f"from {parameter.minimum:g} to {parameter.maximum:g}"
    meaning = "Another symbol whose bars it reads" if parameter.kind == "symbol" else ""
    default = (
        str(parameter.default).lower() if isinstance(parameter.default, bool) else str(parameter.default)
    )
    return help_of(meaning, limits, default)


def _build_fuzzy_sets(path: Path, title: str, data: Mapping[str, Any], names: Names) -> Group:
    group = Group(path, title, "Each set reads one indicator as degrees from 0 to 1.")
    for name, values in data.items():
        if isinstance(values, dict):
            group.groups.append(_fuzzy_set((*path, name), name, values, names))
        else:
            group.others.append(Other((*path, name), flow_value(values)))
    group.adder = Adder(
        path,
        "Add fuzzy set",
        (
            text_field(
                _adder_name(path, "name"), "Name", f"{NAME_HELP} It starts with low, middle and high."
            ),
            choice_field(_adder_name(path, "indicator"), "Indicator", names.outputs),
        ),
    )
    return group


def _fuzzy_set(path: Path, name: str, values: Mapping[str, Any], names: Names) -> Group:
    group = Group(path, name, is_removable=True)
    outputs = Shape("choice", {output: output for output in names.outputs})
    _add(group, "indicator", "Indicator", outputs, values, "", is_required=True)
    for key, value in values.items():
        if key == "indicator":
            continue
        if isinstance(value, dict):
            member = Group((*path, key), key, is_removable=True)
            _add(member, "type", "Shape", _MEMBERSHIP_TYPE, value, "", is_required=True)
            _add(member, "parameters", "Numbers", _NUMBERS, value, _membership_help(value), is_required=True)
            _add_others(member, value)
            group.groups.append(member)
        else:
            _add(group, key, key, _NUMBERS, values, MEMBERSHIP_HELP)
    _add_others(group, values)
    group.adder = Adder(
        path,
        "Add membership",
        (
            text_field(_adder_name(path, "name"), "Name", NAME_HELP),
            text_field(_adder_name(path, "numbers"), "Numbers", MEMBERSHIP_HELP),
        ),
    )
    return group


def _membership_help(value: Mapping[str, Any]) -> str:
    entry = MEMBERSHIPS.get(str(value.get("type")))
    return f"{', '.join(entry.parameters)}; {entry.rule}." if entry else ""


def _build_constants(path: Path, title: str, data: Mapping[str, Any], names: Names) -> Group:
    group = Group(
        path, title, "Numbers that the conditions may use by name. An empty field removes its constant."
    )
    for key in data:
        _add(group, key, key, Shape("number"), data, "")
    _add_others(group, data)
    group.adder = Adder(
        path,
        "Add constant",
        (
            text_field(_adder_name(path, "name"), "Name", NAME_HELP),
            text_field(_adder_name(path, "number"), "Number"),
        ),
    )
    return group


def build_inputs(
    path: Path,
    title: str,
    build_item: Callable[[Path, str, Any], Group | None],
    data: tuple[Any, ...],
    names: Names,
) -> Group:
    """Return the group of `nn_inputs`; `build_item` makes the group of an entry, or None if it is not a section."""
    group = Group(
        path, title, "The values that the model sees: memberships of fuzzy sets, or raw values of indicators."
    )
    for place, values in enumerate(data):
        item = build_item((*path, place), f"Input {place + 1}", values)
        if item is None:
            group.others.append(Other((*path, place), flow_value(values)))
        else:
            item.is_removable = True
            group.groups.append(item)
    sources = (
        *(f"fuzzy_set: {name}" for name in names.fuzzy_sets),
        *(f"raw_indicator: {name}" for name in names.outputs),
    )
    group.adder = Adder(path, "Add input", (choice_field(_adder_name(path, "source"), "Input", sources),))
    return group


def condition_names(names: Names) -> str:
    """Return what a condition of this file may name."""
    return ", ".join((*names.outputs, *names.members, *names.constants, *FIELDS))


def _add(
    group: Group,
    key: str,
    label: str,
    shape: Shape,
    values: Mapping[str, Any],
    help_text: str,
    *,
    is_required: bool = False,
) -> None:
    text = shape.text_of(values.get(key))
    if text is not None:
        path = (*group.path, key)
        field = field_of(path, label, shape, text, help_text, is_required=is_required)
        group.entries.append(Entry(path, field, shape, values.get(key)))


def _add_others(group: Group, values: Mapping[str, Any]) -> None:
    """List the keys that no field and no group of the form shows."""
    shown = {entry.path[-1] for entry in group.entries} | {inner.path[-1] for inner in group.groups}
    group.others += [
        Other((*group.path, key), flow_value(value)) for key, value in values.items() if key not in shown
    ]


def _adder_name(path: Path, part: str) -> str:
    return f"add{field_name(path)}:{part}"


SECTIONS_WITH_NAMES: Mapping[str, Callable[[Path, str, Mapping[str, Any], Names], Group]] = {
    "indicators": _build_indicators,
    "fuzzy_sets": _build_fuzzy_sets,
    "constants": _build_constants,
}
