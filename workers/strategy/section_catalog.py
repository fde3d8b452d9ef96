"""The sections of strategy files with their keys as plain data, for completion and help in editors."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from workers.strategy.reference import SPELLED_DIFFERENTLY, sections_of_both_kinds
from workers.strategy.schema_sections import SchemaSection

Node = Mapping[str, Any]


@cache
def sections_as_data() -> list[dict[str, Any]]:
    """Return place, kinds and keys of each section. In a place, `NAME` means a name chosen in the file.

    `kinds` names the variants that have the section, such as `type: mlp`; it is empty if all have it.
    """
    return [
        {
            "place": section.place.replace(".memberships.", "."),
            "kinds": list(section.kinds),
            "keys": [
                {
                    "name": key,
                    "meaning": " ".join(str(node.get("description", "")).split()),
                    "required": key in section.required,
                    "choices": _choices(node),
                }
                for key, node in section.keys.items()
                if not _is_spelled_differently(section, key)
            ],
        }
        for section in sections_of_both_kinds()
    ]


def _is_spelled_differently(section: SchemaSection, key: str) -> bool:
    return (section.name, key) in SPELLED_DIFFERENTLY


def _choices(node: Node) -> list[str]:
    """Return the values of a key that has only a few."""
    match node:
        case {"anyOf": options}:
            return [choice for option in options for choice in _choices(option)]
        case {"const": value}:
            return [_text(value)]
        case {"enum": values}:
            return [_text(value) for value in values]
        case {"type": "boolean"}:
            return ["true", "false"]
    return []


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if value == "3.0" else str(value)
