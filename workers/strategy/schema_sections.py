"""List the sections of a JSON schema with their place in the file and the kinds they apply to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Node = Mapping[str, Any]


@dataclass(slots=True)
class SchemaSection:
    name: str
    """Name in the schema."""
    place: str
    """Dotted path, with `NAME` for a name chosen in the file; empty for the file itself."""
    node: Node
    kinds: list[str] = field(default_factory=list)
    """Such as `type: mlp`, for a variant of a section or a part of one; empty if it is the same for all variants."""

    @property
    def title(self) -> str:
        place = f"`{self.place}`" if self.place else "The file"
        return place + (f" with {' or '.join(f'`{kind}`' for kind in self.kinds)}" if self.kinds else "")

    @property
    def description(self) -> str:
        return " ".join(str(self.node.get("description", "")).split())

    @property
    def keys(self) -> Mapping[str, Node]:
        properties: Mapping[str, Node] = self.node["properties"]
        return properties

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self.node.get("required", ()))


def list_sections(schema: Node) -> list[SchemaSection]:
    """Return each section once, in the order of the file. A section that all variants of its parent share has no kinds."""
    sections: dict[str, SchemaSection] = {}
    root = SchemaSection(str(schema["title"]), "", schema)
    _walk(root, schema["$defs"], sections)
    for section in sections.values():
        parent = section.place.rpartition(".")[0]
        if set(section.kinds) == {
            kind for other in sections.values() if other.place == parent for kind in other.kinds
        }:
            section.kinds = []
    return [root, *sections.values()]


def _walk(
    section: SchemaSection, definitions: Mapping[str, Node], sections: dict[str, SchemaSection]
) -> None:
    for key, node in section.keys.items():
        place = f"{section.place}.{key}" if section.place else key
        variants = list(_section_references(node, place))
        for at, kind, name in variants:
            kinds = [kind] if kind else list(section.kinds)
            if name in sections:
                earlier = sections[name].kinds
                sections[name].kinds = sorted({*earlier, *kinds}) if earlier and kinds else []
                continue
            sections[name] = SchemaSection(name, at, definitions[name], kinds)
        for name in dict.fromkeys(name for _, _, name in variants):
            _walk(sections[name], definitions, sections)


def _section_references(node: Node, place: str) -> Iterator[tuple[str, str, str]]:
    """Yield (place, kind, section) for each section that a key may hold."""
    if "$ref" in node:
        yield place, "", node["$ref"].rpartition("/")[2]
    elif "discriminator" in node:
        key = node["discriminator"]["propertyName"]
        for value, reference in node["discriminator"]["mapping"].items():
            yield place, f"{key}: {value}", reference.rpartition("/")[2]
    elif "anyOf" in node:
        for choice in node["anyOf"]:
            yield from _section_references(choice, place)
    elif "items" in node:
        yield from _section_references(node["items"], place)
    elif "patternProperties" in node:
        for choice in node["patternProperties"].values():
            yield from _section_references(choice, f"{place}.NAME")
