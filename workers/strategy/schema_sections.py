"""The sections of a JSON schema as a reader of the file meets them: where each stands, and for which kinds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Node = Mapping[str, Any]


@dataclass(slots=True)
class SchemaSection:
    name: str
    """In the schema."""
    place: str
    """Dotted, with `NAME` for a name that the file chooses; empty for the file itself."""
    node: Node
    kinds: list[str] = field(default_factory=list)
    """`type: mlp`, of the discriminated section that it is or stands in; empty where it is the same for all."""

    @property
    def title(self) -> str:
        place = f"`{self.place}`" if self.place else "The file"
        return place + (f" with {' or '.join(f'`{kind}`' for kind in self.kinds)}" if self.kinds else "")

    @property
    def description(self) -> str:
        return " ".join(str(self.node.get("description", "")).split())

    @property
    def keys(self) -> Mapping[str, Node]:
        found: Mapping[str, Node] = self.node["properties"]
        return found

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self.node.get("required", ()))


def list_sections(schema: Node) -> list[SchemaSection]:
    """In the order of the file, each once; a section that all kinds of another have in common has no kinds."""
    found: dict[str, SchemaSection] = {}
    whole = SchemaSection("Strategy", "", schema)
    _walk(whole, schema["$defs"], found)
    for section in found.values():
        around = section.place.rpartition(".")[0]
        if set(section.kinds) == {
            kind for other in found.values() if other.place == around for kind in other.kinds
        }:
            section.kinds = []
    return [whole, *found.values()]


def _walk(section: SchemaSection, definitions: Mapping[str, Node], found: dict[str, SchemaSection]) -> None:
    for key, node in section.keys.items():
        place = f"{section.place}.{key}" if section.place else key
        variants = list(_references(node, place))
        for at, kind, name in variants:
            kinds = [kind] if kind else list(section.kinds)
            if name in found:
                known = found[name].kinds
                found[name].kinds = sorted({*known, *kinds}) if known and kinds else []
                continue
            found[name] = SchemaSection(name, at, definitions[name], kinds)
        for name in dict.fromkeys(name for _, _, name in variants):
            _walk(found[name], definitions, found)


def _references(node: Node, place: str) -> Iterator[tuple[str, str, str]]:
    """(place, kind, section) of what may stand at a key."""
    if "$ref" in node:
        yield place, "", node["$ref"].rpartition("/")[2]
    elif "discriminator" in node:
        key = node["discriminator"]["propertyName"]
        for value, reference in node["discriminator"]["mapping"].items():
            yield place, f"{key}: {value}", reference.rpartition("/")[2]
    elif "anyOf" in node:
        for choice in node["anyOf"]:
            yield from _references(choice, place)
    elif "items" in node:
        yield from _references(node["items"], place)
    elif "patternProperties" in node:
        for choice in node["patternProperties"].values():
            yield from _references(choice, f"{place}.NAME")
