"""Write `docs/strategy-grammar.md`: `python -m workers.strategy.reference docs/strategy-grammar.md`."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workers.strategy.catalog import (
    MEMBERSHIPS,
    PRICE_SOURCES,
    TIMEFRAMES,
    UNSUPPORTED_INDICATORS,
    IndicatorEntry,
    IndicatorParameter,
)
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.legacy import UNSUPPORTED_SECTIONS
from workers.strategy.reference_expressions import expression_lines
from workers.strategy.rules_strategy import RulesStrategy
from workers.strategy.schema_sections import SchemaSection, list_sections
from workers.strategy.trained_strategy import TrainedStrategy

Node = Mapping[str, Any]

INTRODUCTION = """\
# The grammar of strategy files

Generated from the code by `python -m workers.strategy.reference docs/strategy-grammar.md`; a test checks that this
page is up to date.

A strategy is one YAML document and is checked strictly. A key that is not listed here, a value of the wrong type or out
of range, an undefined name and a combination without effect are rejected with line, column and the nearest valid name.
Every accepted key has an effect. `examples/strategies/` contains complete files with comments.

The chain: bars → `indicators` → `fuzzy_sets` (degrees from 0 to 1) → `nn_inputs` → `model` → `decisions`. A rules
strategy (`model: {type: rules}`) has no network: bars → `indicators` → `fuzzy_sets` → conditions in `decisions`. It is
backtested without a training.

* Scalars follow YAML 1.2: `1e-3` is a number, `yes` and `2010-01-31` are text. Duplicate keys, tags, anchors and merge
  keys are rejected.
* An input is named `TIMEFRAME_SET_MEMBERSHIP` (`1d_momentum_low`) or `TIMEFRAME_INDICATOR_raw`; with
  `lookback_periods` the inputs of earlier bars follow, for example `1d_momentum_low@-1` for one bar ago.
* An output of an indicator is written `macd_12.histogram`; the bare name of an indicator means its first output.
* Older spellings are accepted: `timeframes: {timeframes: [...]}` and `symbols: {symbols: [...]}` for `list`, and
  `model.training` for `training`. Each key of `training` may appear in only one of the two places.
"""

SPELLED_DIFFERENTLY = {
    ("Indicator", "parameters"): "each parameter of the [indicator](#indicators) is a key beside `type`",
    ("FuzzySet", "memberships"): "each membership is a key beside `indicator`, in any order",
}
"""Keys of the schema that a file does not write by name."""


def render() -> str:
    """Return the page in Markdown."""
    parts = [INTRODUCTION, "## Sections\n"]
    parts += ["\n".join(_section(section)) for section in sections_of_both_kinds()]
    chapters = (expression_lines(), _timeframes(), _memberships(), _indicators(), _unsupported_names())
    parts += ["\n".join(lines) for lines in chapters]
    return "\n".join(parts)


def sections_of_both_kinds() -> list[SchemaSection]:
    """Return the sections of strategies with a network, then those that only rules strategies have."""
    trained = list_sections(TrainedStrategy.model_json_schema())
    shared = {section.name for section in trained}
    rules = [
        replace(section, kinds=["model.type: rules"])
        for section in list_sections(RulesStrategy.model_json_schema())
        if section.name not in shared
    ]
    return trained + rules


def _section(section: SchemaSection) -> Iterator[str]:
    yield f"### {section.title.replace('.memberships.', '.')}\n"
    if section.place and section.description:
        yield f"{section.description}\n"
    yield from _table("key", "value", "default", "meaning")
    for key, node in section.keys.items():
        spelled = SPELLED_DIFFERENTLY.get((section.name, key))
        name = f"*{key}*" if spelled else f"`{key}`"
        default = "required" if key in section.required else _default(node.get("default"))
        yield _row(name, spelled or _value(node), default, str(node.get("description", "")))
    yield ""


def _value(node: Node) -> str:
    """Describe the values that are allowed."""
    match node:
        case {"$ref": _} | {"oneOf": _} | {"patternProperties": _} | {"items": {"$ref": _}}:
            return "a section (below)" if "items" not in node else "a list of sections (below)"
        case {"anyOf": choices}:
            return " or ".join(_value(choice) for choice in choices if choice.get("type") != "null")
        case {"const": only}:
            return _code(only)
        case {"enum": choices}:
            return ", ".join(map(_code, choices))
        case {"type": "array", "prefixItems": items}:
            return f"a list of {len(items)}: {_value(items[0])}"
        case {"type": "array", "items": item}:
            return f"a list of: {_value(item)}"
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"type": "integer" | "number" as kind}:
            return ("whole number" if kind == "integer" else "number") + _bounds(node)
        case {"format": "date"}:
            return "a date, YYYY-MM-DD"
    return "text"


def _bounds(node: Node) -> str:
    words = (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    )
    return "".join(f" {word} {_number(node[bound])}" for bound, word in words if bound in node)


def _default(value: object) -> str:
    if value is None:
        return ""
    return "its defaults" if isinstance(value, dict) and value else "none" if value == {} else _code(value)


def _code(value: object) -> str:
    if isinstance(value, list | tuple):
        return "`[" + ", ".join(map(str, value)) + "]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{_number(value) if isinstance(value, int | float) else value}`"


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value == int(value) and abs(value) >= 10_000 else f"{value:g}"


def _timeframes() -> Iterator[str]:
    yield "## Timeframes and prices\n"
    yield f"Timeframes: {', '.join(f'`{name}`' for name in TIMEFRAMES)}.\n"
    yield f"`source` of an indicator: {', '.join(f'`{name}`' for name in PRICE_SOURCES)}.\n"


def _memberships() -> Iterator[str]:
    yield "## Membership functions\n"
    yield "A list of three numbers is triangular, a list of four numbers is trapezoidal.\n"
    yield from _table("type", "parameters", "condition")
    for entry in MEMBERSHIPS.values():
        yield _row(f"`{entry.name}`", f"`[{', '.join(entry.parameters)}]`", f"`{entry.rule}`")
    yield ""


def _indicators() -> Iterator[str]:
    yield "## Indicators\n"
    yield "The warm-up is the number of bars at the start without a value.\n"
    yield from _table("type", "name", "parameters", "outputs", "warm-up")
    for entry in INDICATORS.values():
        also = "".join(f", `{alias}`" for alias in entry.aliases)
        parameters = "<br>".join(map(_parameter, entry.parameters))
        yield _row(f"`{entry.name}`{also}", entry.title, parameters, _outputs(entry), f"`{entry.warm_up}`")
    yield ""


def _parameter(parameter: IndicatorParameter) -> str:
    also = "".join(f", `{alias}`" for alias in parameter.aliases)
    match parameter.kind:
        case "choice":
            values = ", ".join(parameter.choices) if parameter.choices != PRICE_SOURCES else "a price"
        case "bool":
            values = "true, false"
        case "symbol":
            return f"`{parameter.name}`, another symbol whose bars it reads, for example `SPY`"
        case "expression":
            return f"`{parameter.name}`, required, for example {_code(parameter.default)}"
        case _:
            values = f"{parameter.minimum:g} to {parameter.maximum:g}"
    return f"`{parameter.name}`{also} = {_code(parameter.default)} ({values})"


def _outputs(entry: IndicatorEntry) -> str:
    texts = []
    for output in entry.outputs:
        ends = (output.low, output.high)
        low, high = ("" if end is None else f"{end:g}" for end in ends)
        span = (
            f" {low} to {high}" if low and high else f" from {low}" if low else f" to {high}" if high else ""
        )
        texts.append(f"`{output.name}`{span}")
    return ", ".join(texts)


def _unsupported_names() -> Iterator[str]:
    yield "## Not supported\n"
    yield "Keys and types of other KTRDR files that are rejected:\n"
    yield from _table("key or type", "reason")
    for name, reason in {**UNSUPPORTED_SECTIONS, **UNSUPPORTED_INDICATORS}.items():
        yield _row(f"`{name}`", reason)


def _table(*names: str) -> tuple[str, str]:
    return _row(*names), _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render() + "\n", encoding="utf-8")
