"""Writes saved strategies: versions, labels, deletion with undo."""

import time
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from access import audit
from access.actors import Actor
from access.conflicts import atomic_with_retries
from access.models import AuditEntry
from operations import strategies
from operations.models import Tag
from strategies.models import SavedStrategy, StrategyVersion
from strategies.names import name_from
from strategies.requests import NewStrategy, NewVersion, StrategyChange

CLEANUP_LASTS_S = 5.0
MAX_NAMES_TRIED = 100
POINTER = "/strategy_yaml"


class NameTaken(Exception):
    """Another saved strategy has the name. The message is a sentence."""


class Outdated(Exception):
    """Somebody has saved a version since. The message is a sentence."""


class NotDeleted(Exception):
    """The strategy is there. The message is a sentence."""


@atomic_with_retries
def create(new: NewStrategy, by: User) -> SavedStrategy:
    """Save a strategy under its name, or under a free one like that of its file. Raises NameTaken, Invalid."""
    needs = strategies.read(new.strategy_yaml, POINTER)
    strategy = SavedStrategy(title=new.title, note=new.note, created_by=by)
    if new.name:
        _insert(strategy, new.name)
    else:
        _insert_as_free(strategy, name_from(needs.name))
    _set_tags(strategy, new.tags)
    _append(strategy, 1, new.strategy_yaml, new.change, by)
    return strategy


@atomic_with_retries
def add_version(name: str, new: NewVersion, by: User) -> tuple[StrategyVersion, bool]:
    """Append a version unless the newest one has this text; return it and whether it is new.

    Raises Outdated if `new.based_on` is not the newest version, SavedStrategy.DoesNotExist, Invalid.
    """
    strategy = _lock(name)
    newest = strategy.versions.select_related("created_by").latest("number")
    if new.based_on is not None and new.based_on != newest.number:
        author = newest.created_by.get_username() if newest.created_by else "somebody"
        raise Outdated(
            f"{author} saved version {newest.number} since; compare it with yours and save again as its successor."
        )
    strategies.read(new.strategy_yaml, POINTER)
    if newest.text == new.strategy_yaml:
        return newest, False
    version = _append(strategy, newest.number + 1, new.strategy_yaml, new.change, by)
    SavedStrategy.objects.filter(pk=strategy.pk).update(changed_at=Now())
    return version, True


@atomic_with_retries
def change(name: str, changes: StrategyChange) -> SavedStrategy:
    """Change name, title, note, tags or the archive mark. Raises NameTaken, SavedStrategy.DoesNotExist."""
    strategy = _lock(name)
    fields: dict[str, object] = changes.model_dump(exclude_none=True, include={"name", "title", "note"})
    if changes.archived is not None and changes.archived != (strategy.archived_at is not None):
        fields["archived_at"] = Now() if changes.archived else None
    if fields:
        _update(strategy, fields)
    if changes.tags is not None:
        _set_tags(strategy, changes.tags)
    return SavedStrategy.objects.get(pk=strategy.pk)


@atomic_with_retries
def delete(name: str, actor: Actor) -> SavedStrategy:
    """Hide the strategy until it is removed or restored; its runs stay. Raises SavedStrategy.DoesNotExist."""
    strategy = _lock(name)
    SavedStrategy.objects.filter(pk=strategy.pk).update(deleted_at=Now())
    audit.record(AuditEntry.Act.STRATEGY_DELETED, strategy.name, actor)
    return SavedStrategy.with_deleted.get(pk=strategy.pk)


@atomic_with_retries
def restore(name: str, actor: Actor) -> SavedStrategy:
    """Show the strategy that was deleted last under this name.

    Raises NameTaken, NotDeleted, SavedStrategy.DoesNotExist.
    """
    deleted = SavedStrategy.with_deleted.filter(name=name, deleted_at__isnull=False)
    strategy = deleted.select_for_update().order_by("-deleted_at").first()
    if strategy is None:
        if SavedStrategy.objects.filter(name=name).exists():
            raise NotDeleted("The strategy is not deleted.")
        raise SavedStrategy.DoesNotExist
    _update(strategy, {"deleted_at": None})
    audit.record(AuditEntry.Act.STRATEGY_RESTORED, strategy.name, actor)
    return SavedStrategy.objects.get(pk=strategy.pk)


def remove_deleted(lasts_s: float = CLEANUP_LASTS_S) -> int:
    """Remove the strategies whose grace is over; return how many. Stop after `lasts_s`."""
    until = time.monotonic() + lasts_s
    removed = 0
    for pk in list(overdue_strategies().order_by("deleted_at").values_list("pk", flat=True)):
        if time.monotonic() > until:
            break
        removed += _remove_if_overdue(pk)
    return removed


@transaction.atomic
def _remove_if_overdue(pk: int) -> bool:
    """Remove the strategy unless it was restored, or is being restored; return whether it was removed."""
    # Django deletes by the key what it selected before, so the row is locked in between.
    locked = overdue_strategies().select_for_update(skip_locked=True)
    strategy = locked.filter(pk=pk).first()
    if strategy is None:
        return False
    strategy.delete()
    return True


def overdue_strategies() -> QuerySet[SavedStrategy]:
    """Return the deleted strategies whose grace is over."""
    return SavedStrategy.with_deleted.filter(
        deleted_at__lt=Now() - timedelta(days=settings.DELETED_RETENTION_DAYS)
    )


def _lock(name: str) -> SavedStrategy:
    return SavedStrategy.objects.select_for_update().get(name=name)


def _append(strategy: SavedStrategy, number: int, text: str, change: str, by: User) -> StrategyVersion:
    version = StrategyVersion(strategy=strategy, number=number, text=text, change=change, created_by=by)
    version.save(force_insert=True)
    version.refresh_from_db(fields=["digest", "created_at"])
    return version


def _insert_as_free(strategy: SavedStrategy, name: str) -> None:
    """Insert it under the name or one like it. Raises NameTaken if there is none."""
    while True:
        try:
            return _insert(strategy, _free_name(name))
        except NameTaken as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            # Another one got the free name in between; the next reading knows it.


def _insert(strategy: SavedStrategy, name: str) -> None:
    strategy.name = name
    try:
        with transaction.atomic():
            strategy.save(force_insert=True)
    except IntegrityError as error:
        raise _name_error(strategy.name) from error


def _update(strategy: SavedStrategy, fields: dict[str, object]) -> None:
    try:
        with transaction.atomic():
            SavedStrategy.with_deleted.filter(pk=strategy.pk).update(**fields)
    except IntegrityError as error:
        raise _name_error(str(fields.get("name", strategy.name))) from error


def _name_error(name: str) -> NameTaken:
    return NameTaken(f"Another saved strategy is called {name}; choose another name.")


def _free_name(name: str) -> str:
    """Return the name, or the first of name_2, name_3, ... that no saved strategy has. Raises NameTaken."""
    candidates = [name, *(f"{name}_{number}" for number in range(2, MAX_NAMES_TRIED))]
    taken = set(SavedStrategy.objects.filter(name__in=candidates).values_list("name", flat=True))
    free = next((candidate for candidate in candidates if candidate not in taken), None)
    if free is None:
        raise _name_error(name)
    return free


def _set_tags(strategy: SavedStrategy, tags: Iterable[str]) -> None:
    names = list(tags)
    Tag.objects.bulk_create([Tag(name=name) for name in names], ignore_conflicts=True)
    strategy.tags.set(Tag.objects.filter(pk__in=names))
