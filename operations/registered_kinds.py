"""The kinds that this installation has. Each app under `operations.kinds` registers its kind when it starts."""

from operations.announced_kind import AnnouncedKind
from operations.kind import Kind

_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Register a kind. Raises ValueError if another kind has the same operation type."""
    other = _kinds.setdefault(kind.operation_type, kind)
    if type(other) is not type(kind):
        raise ValueError(f"{type(other).__name__} and {type(kind).__name__} are both {kind.operation_type}")


def all_kinds() -> list[Kind]:
    """Return the kinds in the order of INSTALLED_APPS."""
    return list(_kinds.values())


def unlisted_types() -> list[str]:
    """Return the types of which nobody is notified and which overviews leave out: brief ones, and parts of others."""
    return [kind.operation_type for kind in all_kinds() if kind.is_brief or kind.is_part]


def preview_types() -> list[str]:
    return [kind.operation_type for kind in all_kinds() if kind.is_preview]


def part_types() -> list[str]:
    return [kind.operation_type for kind in all_kinds() if kind.is_part]


def types_with_completion() -> list[str]:
    """Return the types of which more is stored at the completion than the worker's result."""
    return [
        kind.operation_type for kind in all_kinds() if kind.is_run or type(kind).complete is not Kind.complete
    ]


def kind_of(operation_type: str) -> Kind:
    """Return the registered kind, or one with the defaults for a type that only workers know."""
    return _kinds.get(operation_type) or AnnouncedKind(operation_type)


def find_kind(name: str) -> Kind | None:
    """Find a kind by its operation type or a former name, as used in URLs and commands."""
    return next((kind for kind in all_kinds() if name in (kind.operation_type, *kind.former_names)), None)
