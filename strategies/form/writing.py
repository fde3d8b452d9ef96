"""Write the values entered in a form into the text of the strategy."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from strategies.form.named_parts import names_of
from strategies.form.parts import Entry, Group, field_name
from strategies.form.reading import build_form
from strategies.form.shapes import Shape
from workers.strategy.document import read_document
from workers.strategy.indicator_catalog import EXPRESSION, INDICATORS, find_indicator
from workers.strategy.nested_values import Path, find_value
from workers.strategy.text_edits import EditError, remove_value, set_values

MAX_CHANGES = 60
"""Values that appear or disappear in one step; each is verified by reading the text again."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NUMBERS = Shape("list", has_number_items=True)


def apply_form(text: str, posted: Mapping[str, str]) -> str:
    """Return the text with the fields of the form that differ from it; everything else stays as it is.

    Raises `StrategyError` if the text cannot be read, and `EditError` if a change cannot be made.
    """
    groups = [group for section in build_form(text) for group in section.walk()]
    changed = [(group, entry) for group in groups for entry in group.entries if _is_changed(entry, posted)]
    stale = {path for group, entry in changed for path in _stale_paths(group, entry, posted)}
    values: dict[Path, Any] = {}
    removed: list[Path] = []
    for _, entry in changed:
        entered = _posted_text(entry, posted)
        if entry.path in stale or not entered:
            removed += [entry.path] if entry.old is not None else []
        else:
            values[entry.path] = entry.shape.value_of(entered, entry.old)
    removed += [path for path in stale if path not in removed]
    if sum(path not in _present(groups) for path in values) + len(removed) > MAX_CHANGES:
        raise EditError(f"a step adds and removes at most {MAX_CHANGES} values; update the form in between")
    text = set_values(text, values)
    for path in sorted(removed, key=_last_first):
        text = remove_value(text, path)
    for group in groups:
        text = _add_entry(text, group, posted)
    if name := posted.get("remove"):
        text = _remove(text, groups, name)
    return text


def _is_changed(entry: Entry, posted: Mapping[str, str]) -> bool:
    return entry.field.name in posted and _posted_text(entry, posted) != entry.field.value


def _posted_text(entry: Entry, posted: Mapping[str, str]) -> str:
    text = posted[entry.field.name].replace("\r\n", "\n")
    return text.rstrip("\n") if entry.shape.kind == "area" else text.strip()


def _present(groups: list[Group]) -> frozenset[Path]:
    return frozenset(entry.path for group in groups for entry in group.entries if entry.old is not None)


def _stale_paths(group: Group, entry: Entry, posted: Mapping[str, str]) -> Iterator[Path]:
    """Yield the values beside a changed selector that only the former variant of the section may have."""
    if entry.path != (*group.path, group.selector):
        return
    variants = group.keys_of_variants
    gone = variants.get(entry.field.value, frozenset()) - variants.get(
        _posted_text(entry, posted), frozenset()
    )
    if _posted_text(entry, posted) in variants:
        yield from (other.path for other in group.entries if other.path[-1] in gone and other.old is not None)
        yield from (inner.path for inner in group.groups if inner.path[-1] in gone and inner.is_present)


def _last_first(path: Path) -> tuple[Any, ...]:
    """Sort so that removing an item of a list does not move those that are still to be removed."""
    return tuple((1, -part, "") if isinstance(part, int) else (0, 0, part) for part in path)


def _remove(text: str, groups: list[Group], name: str) -> str:
    removable = [group.path for group in groups if group.is_removable]
    removable += [other.path for group in groups for other in group.others]
    path = next((path for path in removable if field_name(path) == name), None)
    return text if path is None else remove_value(text, path)


def _add_entry(text: str, group: Group, posted: Mapping[str, str]) -> str:
    """Add the entry whose name somebody has entered below a section."""
    if group.adder is None:
        return text
    first, *rest = [posted.get(field.name, "").strip() for field in group.adder.fields]
    if not first:
        return text
    data = read_document(text).data
    if group.path == ("nn_inputs",):
        kind, _, name = first.partition(": ")
        if kind not in ("fuzzy_set", "raw_indicator"):
            return text
        return set_values(text, {(*group.path, len(data.get("nn_inputs") or ())): {kind: name}})
    if not _NAME.fullmatch(first):
        raise EditError(
            f"the name {first[:40]!r} may have letters, digits and underscores, and no digit at its start"
        )
    if first in (find_value(data, group.path, None) or {}):
        raise EditError(f"{first} exists already; choose another name")
    return set_values(text, {(*group.path, first): _new_value(group.path, rest[0], data)})


def _new_value(path: Path, entered: str, data: Mapping[str, Any]) -> Any:
    match path:
        case ("indicators",):
            if entered not in INDICATORS:
                raise EditError("choose the indicator to add")
            default = INDICATORS[entered].parameters[0].default if entered == EXPRESSION else None
            return {"type": entered} | ({"expression": default} if default is not None else {})
        case ("constants",):
            return Shape("number").value_of(entered, None)
        case ("fuzzy_sets",):
            if entered not in names_of(data).outputs:
                raise EditError("choose the indicator of the fuzzy set to add")
            return {"indicator": entered, **_starting_sets(entered, data)}
    return _NUMBERS.value_of(entered, None)


def _starting_sets(output: str, data: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Return low, middle and high over the range of an indicator's output, or from -1 to 1 if it has none."""
    name, _, member = output.partition(".")
    indicator = find_indicator(str(data["indicators"][name]["type"]))
    assert indicator is not None
    line = indicator.output(member) or indicator.outputs[0]
    low, high = (-1.0, 1.0) if line.low is None or line.high is None else (line.low, line.high)

    def at(share: float) -> float:
        value = low + share * (high - low)
        return int(value) if value == int(value) else round(value, 4)

    return {
        "low": (at(0), at(0), at(0.25), at(0.5)),
        "middle": (at(0.25), at(0.5), at(0.75)),
        "high": (at(0.5), at(0.75), at(1), at(1)),
    }
