"""The seeds of an operation type: its default, the ones that its parameters allow, and further ones derived from a first."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from operations.registered_kinds import kind_of
from operations.schemas import read_schemas

DEFAULT = 42
"""Of an announced type whose schema has no default."""
LOWEST, HIGHEST = 0, 2**31 - 1
"""Bounds of derived seeds, where the schema of the type has no narrower ones. Both are included."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds of one type. `default` comes from the schema of a worker, so it may have any JSON type."""

    default: Any = DEFAULT
    lowest: int = LOWEST
    highest: int = HIGHEST

    @property
    def available(self) -> int:
        """The number of distinct seeds within the bounds; 0 if the bounds contradict each other."""
        return max(0, self.highest - self.lowest + 1)

    def derive(self, first: int, number: int) -> list[int]:
        """Return `first` and further distinct seeds within the bounds, which depend only on `first` and their place (SHA-256).

        The bounds must contain `number` seeds, `first` among them, or `number - 1` others.
        """
        seeds = [first]
        for place in count(1):
            if len(seeds) == number:
                break
            digest = hashlib.sha256(f"{first}/{place}".encode()).digest()
            offset = (int.from_bytes(digest[:4]) >> 1) % (self.highest - self.lowest + 1)
            if (seed := self.lowest + offset) not in seeds:
                seeds.append(seed)
        return seeds


def seeds_of(operation_type: str) -> Seeds | None:
    """Return the seeds of a type; None if its results do not depend on one."""
    kind = kind_of(operation_type)
    if kind.request_model is not None:
        return Seeds(kind.request_model.model_fields["seed"].default) if kind.is_seeded else None
    schemas = (json.loads(text).get("properties", {}) for text in read_schemas(operation_type))
    announced = [properties["seed"] for properties in schemas if "seed" in properties]
    return _read(announced) if announced else None


def _read(schemas: list[Any]) -> Seeds:
    """Return the first default and the narrowest bounds of the schemas of a parameter `seed`."""
    stated = [schema for schema in schemas if isinstance(schema, dict)]
    lowest = [limit for schema in stated for limit in _limits(schema, "minimum", "exclusiveMinimum", 1)]
    highest = [limit for schema in stated for limit in _limits(schema, "maximum", "exclusiveMaximum", -1)]
    default = next((schema["default"] for schema in stated if "default" in schema), DEFAULT)
    return Seeds(default, max([LOWEST, *lowest]), min([HIGHEST, *highest]))


def _limits(schema: Mapping[str, Any], inclusive: str, exclusive: str, step: int) -> list[int]:
    """Return the inclusive limits stated by the schema of a worker. Values that are not integers are ignored."""
    stated = ((schema.get(inclusive), 0), (schema.get(exclusive), step))
    return [limit + change for limit, change in stated if type(limit) is int]
