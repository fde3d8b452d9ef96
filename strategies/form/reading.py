"""Build the form of a strategy's text: one field for each value that the grammar allows at its place."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from operations.presentation.numbers import words
from strategies.form.fields import field_of, help_of
from strategies.form.named_parts import SECTIONS_WITH_NAMES, build_inputs, names_of
from strategies.form.parts import Entry, Group, Other
from strategies.form.shapes import Node, Shape, limits_of, options_of, shape_of
from workers.strategy.catalog import TIMEFRAMES
from workers.strategy.document import read_document
from workers.strategy.nested_values import Path
from workers.strategy.rules_strategy import RulesStrategy
from workers.strategy.text_edits import EditError
from workers.strategy.text_spelling import flow_value
from workers.strategy.trained_strategy import TrainedStrategy

MAX_CHARACTERS = 40_000
MAX_FIELDS = 800
"""A request has at most 1,000."""
MAX_SHOWN = 200
TITLES = {
    "training_data": "Market data",
    "indicators": "Indicators",
    "fuzzy_sets": "Fuzzy sets",
    "constants": "Constants",
    "nn_inputs": "Inputs of the model",
    "model": "Model",
    "decisions": "Entry and exit rules",
    "training": "Training",
    "cost_model": "Costs",
}
MODEL_TYPES = ("rules", "mlp", "lstm", "gru", "tsk")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
ONE_LINE = frozenset({"timeframe", "base_timeframe"})


def build_form(text: str) -> list[Group]:
    """Return the sections of the form, the values of the file itself first.

    Raises `StrategyError` if the text is not a readable file, and `EditError` if it is too long for a form.
    """
    if len(text) > MAX_CHARACTERS:
        raise EditError(
            f"the form shows texts of at most {MAX_CHARACTERS:,} characters; this one has {len(text):,}"
        )
    data = read_document(text).data
    if not isinstance(data, dict):
        raise EditError("the text has no sections such as indicators: and model:")
    groups = list(_Builder(data).sections())
    count = sum(len(group.entries) for section in groups for group in section.walk())
    if count > MAX_FIELDS:
        raise EditError(f"the form shows at most {MAX_FIELDS} values; this text has {count}")
    return groups


@cache
def _schema(*, is_rules: bool) -> Mapping[str, Any]:
    return (RulesStrategy if is_rules else TrainedStrategy).model_json_schema()


class _Builder:
    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        model = data.get("model")
        self._is_rules = isinstance(model, dict) and model.get("type") == "rules"
        self._schema = _schema(is_rules=self._is_rules)
        self._names = names_of(data)

    def sections(self) -> Iterator[Group]:
        properties: Mapping[str, Node] = self._schema["properties"]
        whole = Group((), "Strategy")
        inner = {}
        for key, node in properties.items():
            if (shape := shape_of(node)) is not None:
                self._add_value(
                    whole, key, node, shape, self._data, is_required=key in self._schema["required"]
                )
            elif (group := self._part((key,), node, self._data.get(key))) is not None:
                inner[key] = group
            else:
                self._add_other(whole, key, self._data)
        for key in self._data:
            if key not in properties:
                self._add_other(whole, key, self._data)
        yield whole
        yield from inner.values()

    def _part(self, path: Path, node: Node, data: Any) -> Group | None:
        """Return the group of a section or list; None if the file has something else there."""
        key = str(path[-1])
        title = TITLES.get(key, words(key))
        if key in SECTIONS_WITH_NAMES and len(path) == 1:
            if not isinstance(data, dict | None):
                return None
            return SECTIONS_WITH_NAMES[key](path, title, data or {}, self._names)
        if node.get("type") == "array":
            return (
                build_inputs(path, title, self._item, data or (), self._names)
                if isinstance(data, tuple | None)
                else None
            )
        return self._section(path, title, node, data) if isinstance(data, dict | None) else None

    def _item(self, path: Path, title: str, data: Any) -> Group | None:
        node = self._schema["$defs"]["NNInput"]
        return self._section(path, title, node, data) if isinstance(data, dict | None) else None

    def _section(self, path: Path, title: str, node: Node, data: Any) -> Group:
        group = Group(path, title, is_present=data is not None or len(path) == 1)
        data = data or {}
        node = _first_section(node)
        variants = {
            name: self._resolve(ref) for name, ref in node.get("discriminator", {}).get("mapping", {}).items()
        }
        if variants:
            self._add_selector(group, node, variants, data)
            node = variants.get(str(data.get(group.selector)), {"properties": {}})
        else:
            node = self._resolve(node.get("$ref", "")) or node
        group.help = _help(node)
        for key, child in node["properties"].items():
            if key == group.selector:
                continue
            if (shape := shape_of(child)) is not None:
                self._add_value(group, key, child, shape, data, is_required=key in node.get("required", ()))
            elif (part := self._part((*path, key), child, data.get(key))) is not None:
                group.groups.append(part)
            else:
                self._add_other(group, key, data)
        for key in data:
            if key not in node["properties"] and key != group.selector:
                self._add_other(group, key, data)
        return group

    def _add_selector(
        self, group: Group, node: Node, variants: Mapping[str, Node], data: Mapping[str, Any]
    ) -> None:
        group.selector = node["discriminator"]["propertyName"]
        names = MODEL_TYPES if group.path == ("model",) else tuple(variants)
        shape = Shape("choice", {name: name for name in names})
        group.keys_of_variants = {
            name: frozenset(variant["properties"]) for name, variant in variants.items()
        }
        self._add_value(group, group.selector, {}, shape, data, is_required=True)

    def _add_value(
        self, group: Group, key: str, node: Node, shape: Shape, data: Mapping[str, Any], *, is_required: bool
    ) -> None:
        if group.path == ("model",) and key == "type" and self._is_rules:
            shape = Shape("choice", {name: name for name in MODEL_TYPES})
        shape = self._with_names(key, shape)
        text = shape.text_of(data.get(key))
        if text is None:
            self._add_other(group, key, data)
            return
        path = (*group.path, key)
        default = shape.text_of(node["default"]) if node.get("default") is not None else ""
        help_text = help_of(_help(node), limits_of(node), default or "")
        field = field_of(path, words(key), shape, text, help_text, is_required=is_required)
        group.entries.append(Entry(path, field, shape, data.get(key)))

    def _with_names(self, key: str, shape: Shape) -> Shape:
        """Offer the names that the file defines, and the timeframes."""
        if shape.kind != "text":
            return shape
        names: tuple[str, ...] = tuple(TIMEFRAMES) if key in ONE_LINE else self._names.for_key(key)
        return Shape("choice", {name: name for name in names}) if names else shape

    def _add_other(self, group: Group, key: str, data: Mapping[str, Any]) -> None:
        if key in data:
            group.others.append(Other((*group.path, key), flow_value(data[key])[:MAX_SHOWN]))

    def _resolve(self, reference: str) -> Node:
        definition: Node = self._schema["$defs"].get(reference.rpartition("/")[2], {})
        return definition


def _first_section(node: Node) -> Node:
    """Return the section among the options of a key that may also be absent."""
    return {**options_of(node)[0]}


def _help(node: Node) -> str:
    """Return a description without its Markdown."""
    text = _LINK.sub(r"\1", str(node.get("description", "")))
    return " ".join(text.replace("`", "").split())
