"""The parts of a strategy's form."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from operations.presentation.forms import Field
from strategies.form.shapes import Shape
from workers.strategy.errors import pointer
from workers.strategy.nested_values import Path


def field_name(path: Path) -> str:
    """Return the name of the input of a value, which is also part of ids: a JSON pointer without spaces."""
    return name_of_pointer(pointer(*path))


def name_of_pointer(at: str) -> str:
    return quote(at, safe="/")


@dataclass(slots=True)
class Entry:
    """One value of the file."""

    path: Path
    field: Field
    shape: Shape
    old: object = None
    """The value in the file; None if it has none."""


@dataclass(frozen=True, slots=True)
class Other:
    """A value that the form does not offer; it is kept, and can be removed."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return field_name(self.path)

    @property
    def key(self) -> str:
        return str(self.path[-1])


@dataclass(frozen=True, slots=True)
class Adder:
    """Inputs for one more entry of a section or list."""

    path: Path
    button: str
    fields: tuple[Field, ...]


@dataclass(slots=True)
class Group:
    """A section of the file."""

    path: Path
    title: str
    help: str = ""
    entries: list[Entry] = field(default_factory=list)
    groups: list["Group"] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)
    adder: Adder | None = None
    errors: list[str] = field(default_factory=list)
    is_removable: bool = False
    is_present: bool = True
    selector: str = ""
    """The key that selects the variant of the section, and with it which keys it may have."""
    keys_of_variants: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return field_name(self.path)

    @property
    def is_open(self) -> bool:
        """An optional section is folded until the file has it."""
        return self.is_present or bool(self.errors) or any(entry.field.errors for entry in self.entries)

    def walk(self) -> Iterator["Group"]:
        yield self
        for group in self.groups:
            yield from group.walk()
