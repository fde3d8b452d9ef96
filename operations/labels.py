"""Labels that people give operations: title, note, tags, archived, dismissed. They never change how an operation runs."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from access.conflicts import atomic_with_retries
from operations import lifecycle
from operations.actors import Actor
from operations.models import Operation, Tag
from operations.states import Status

MAX_TITLE, MAX_NOTE_BYTES, MAX_TAG, MAX_TAGS = 200, 20_000, 40, 20
_TAG = re.compile(r"\w[\w.-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def normalize_tag(text: str) -> str:
    """Return the tag in lower case, with hyphens for spaces. Raises ValueError."""
    tag = re.sub(r"\s+", "-", unicodedata.normalize("NFKC", text).strip()).lower()
    if len(tag) > MAX_TAG or not _TAG.fullmatch(tag):
        raise ValueError(
            f"a tag has at most {MAX_TAG} letters, digits, hyphens, dots and underscores, unlike {text[:80]!r}"
        )
    return tag


def _check_title(text: str) -> str:
    title = " ".join(text.split())
    if _CONTROL.search(title):
        raise ValueError("a title may not contain control characters")
    return title


def check_note(text: str) -> str:
    """Return the note with the line ends of Unix. Raises ValueError."""
    note = text.replace("\r\n", "\n").strip()
    if len(note.encode()) > MAX_NOTE_BYTES:
        raise ValueError(f"a note has at most {MAX_NOTE_BYTES} bytes, not {len(note.encode())}")
    if _CONTROL.search(note):
        raise ValueError("a note may not contain control characters")
    return note


def _distinct(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Title = Annotated[str, Field(max_length=MAX_TITLE), AfterValidator(_check_title)]
Note = Annotated[str, Field(max_length=MAX_NOTE_BYTES), AfterValidator(check_note)]
TagName = Annotated[str, Field(max_length=200), AfterValidator(normalize_tag)]
TagNames = Annotated[list[TagName], Field(max_length=MAX_TAGS), AfterValidator(_distinct)]


class Labels(BaseModel):
    """New labels of one operation; those that are not given stay as they are."""

    model_config = ConfigDict(extra="forbid")

    title: Title | None = None
    note: Note | None = None
    tags: TagNames | None = None
    """All of them; the others are removed."""
    archived: bool | None = None
    dismissed: bool | None = None


class SharedLabels(BaseModel):
    """Labels for many operations."""

    add_tags: TagNames = Field(default_factory=list)
    remove_tags: TagNames = Field(default_factory=list)
    archived: bool | None = None
    dismissed: bool | None = None

    @property
    def is_empty(self) -> bool:
        return not self.add_tags and not self.remove_tags and self.archived is self.dismissed is None


def with_tags(operations: QuerySet[Operation], tags: Iterable[str]) -> QuerySet[Operation]:
    """Select the operations that have all the tags. Raises ValueError if they are more than an operation can have."""
    names = _distinct(list(tags))
    if len(names) > MAX_TAGS:
        raise ValueError(f"an operation has at most {MAX_TAGS} tags, not {len(names)}")
    links = Operation.tags.through._base_manager.order_by()
    for tag in names:
        operations = operations.filter(pk__in=links.filter(tag_id=tag).values("operation_id"))
    return operations


def without_labels(operations: QuerySet[Operation], shared: SharedLabels) -> QuerySet[Operation]:
    """Select the operations that the labels would change, so that a repeated call reaches the others."""
    links = Operation.tags.through._base_manager.filter(operation_id=OuterRef("pk"))
    changes = Q(pk__in=())
    for tag in set(shared.add_tags) - set(shared.remove_tags):
        changes |= Q(~Exists(links.filter(tag_id=tag)))
    if shared.remove_tags:
        changes |= Q(Exists(links.filter(tag_id__in=shared.remove_tags)))
    if shared.archived is not None:
        changes |= Q(archived_at__isnull=shared.archived)
    if shared.dismissed is not None:
        changes |= Q(dismissed_at__isnull=shared.dismissed)
    return operations.filter(changes)


@atomic_with_retries
def label(operation_id: str, labels: Labels, actor: Actor) -> Operation:
    """Change the labels of an operation, with one event. Raises WrongState, Operation.DoesNotExist."""
    operation = lifecycle.lock(operation_id)
    changes: list[str] = []
    for name in ("title", "note"):
        text = getattr(labels, name)
        if text is not None and text != getattr(operation, name):
            _update(operation, **{name: text})
            changes.append(f"title {text[:80]!r}" if name == "title" else "note changed")
    if labels.tags is not None:
        changes += _set_tags(operation, labels.tags)
    changes += _set_marks(operation, labels.archived, labels.dismissed)
    _record(operation, changes, actor)
    return operation


@atomic_with_retries
def label_shared(operation_id: str, labels: SharedLabels, actor: Actor) -> Operation:
    """Add and remove tags and marks of an operation, with one event. Raises WrongState, Operation.DoesNotExist."""
    operation = lifecycle.lock(operation_id)
    changes = []
    if labels.add_tags or labels.remove_tags:
        tags = [*_tags_of(operation), *labels.add_tags]
        changes += _set_tags(operation, [tag for tag in _distinct(tags) if tag not in labels.remove_tags])
    changes += _set_marks(operation, labels.archived, labels.dismissed)
    _record(operation, changes, actor)
    return operation


def _set_tags(operation: Operation, tags: Sequence[str]) -> list[str]:
    if len(tags) > MAX_TAGS:
        raise lifecycle.WrongState(f"An operation has at most {MAX_TAGS} tags; this would be {len(tags)}.")
    before = _tags_of(operation)
    added, removed = sorted(set(tags) - before), sorted(before - set(tags))
    Tag.objects.bulk_create([Tag(name=tag) for tag in added], ignore_conflicts=True)
    operation.tags.add(*Tag.objects.filter(pk__in=added))
    operation.tags.remove(*Tag.objects.filter(pk__in=removed))
    return [f"+{tag}" for tag in added] + [f"-{tag}" for tag in removed]


def _tags_of(operation: Operation) -> set[str]:
    return set(operation.tags.values_list("pk", flat=True))


def _set_marks(operation: Operation, archived: bool | None, dismissed: bool | None) -> list[str]:
    if archived and not operation.is_final:
        raise lifecycle.WrongState(
            f"Only an operation that has ended can be archived; this one is {operation.status}."
        )
    if dismissed and operation.status != Status.FAILED:
        raise lifecycle.WrongState(
            f"Only a FAILED operation can be dismissed; this one is {operation.status}."
        )
    return [
        *_mark(operation, "archived", operation.archived_at is not None, archived),
        *_mark(operation, "dismissed", operation.dismissed_at is not None, dismissed),
    ]


def _mark(operation: Operation, name: str, before: bool, after: bool | None) -> Iterable[str]:
    if after is None or after == before:
        return []
    _update(operation, **{f"{name}_at": Now() if after else None})
    return [name if after else f"not {name} any more"]


def _update(operation: Operation, **changes: Any) -> None:
    """Change the locked row; `operation` loads the values when they are read."""
    Operation.objects.filter(pk=operation.pk).update(**changes)
    for name in changes:
        operation.__dict__.pop(name, None)


def _record(operation: Operation, changes: list[str], actor: Actor) -> None:
    if changes:
        lifecycle.record(operation, "labelled", actor, ", ".join(changes))
