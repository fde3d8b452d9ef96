"""The statement with which `lifecycle` changes a status: the row and its event together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Field
from django.db.models.functions import Now

from access.prepared import fetch_one
from operations.blockers import RELEASE
from operations.endings import END, FENCE, SET_STARTED, Ending
from operations.models import Event, Operation
from operations.states import Status
from registry.dispatch_channel import CHANNEL

_CHANGE = """
    WITH moved AS (
        UPDATE operations_operation AS operation SET status = %(to_status)s{assignments}
        WHERE operation_id = %(operation_id)s AND status = %(from_status)s{fence} RETURNING operation_id
    ){end}{release}
    INSERT INTO operations_event
        (operation_id, kind, from_status, to_status, attempt, actor, user_id, address, reason)
    SELECT operation_id, %(kind)s, %(from_status)s, %(to_status)s, %(attempt)s::int, %(actor)s, %(user_id)s::int,
           %(address)s::inet, %(reason)s
    FROM moved RETURNING id, EXISTS (SELECT FROM operations_subscription WHERE active){wake_up}
"""
_WAKE_UP = f", pg_notify('{CHANNEL}', '')"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of status that is stored with its event."""

    event_id: int
    has_subscribers: bool
    """Whether anybody wants notifications at all."""


def change_status(
    operation_id: str,
    changes: Mapping[str, Any],
    event: Event,
    *,
    wakes_dispatchers: bool,
    ending: Ending | None = None,
) -> Change | None:
    """Change the row from the event's one status to the other, with these fields, and end its attempt.

    A completion releases the followers. Returns None, and changes nothing, if the row has another status, or if its
    attempt is to end and is not the event's or has ended.
    """
    computed = {name for name, value in changes.items() if hasattr(value, "resolve_expression")}
    moments = {name for name in computed if type(changes[name]) is Now}
    plain = {name: adapt(name, changes[name]) for name in changes if name not in computed}
    releases = event.to_status == Status.COMPLETED
    ends, starts = ending is not None, ending is not None and ending.starts
    row = fetch_one(
        _statement(tuple(plain), tuple(sorted(moments)), wakes_dispatchers, releases, ends, starts),
        {
            **(ending.parameters if ending else {}),
            **{f"new_{name}": value for name, value in plain.items()},
            "operation_id": operation_id,
            "kind": event.kind,
            "from_status": event.from_status,
            "to_status": event.to_status,
            "attempt": event.attempt,
            "actor": event.actor,
            "user_id": event.user_id,
            "address": event.address,
            "reason": event.reason,
        },
    )
    if row is None:
        return None
    if others := computed - moments:
        # Only a pause or a limit is computed; Django writes those expressions.
        Operation.objects.filter(pk=operation_id).update(**{name: changes[name] for name in others})
    return Change(event_id=row[0], has_subscribers=row[1])


def adapt(name: str, value: Any) -> Any:
    """Return the value of a field as the database expects it."""
    return _field(name).get_db_prep_save(value, connection)


@cache
def _statement(
    plain: tuple[str, ...],
    moments: tuple[str, ...],
    wakes_dispatchers: bool,
    releases: bool,
    ends: bool,
    starts: bool,
) -> str:
    """Return the text for these fields; callers use few combinations of them."""
    assignments = [f"{_column(name)} = %(new_{name})s" for name in plain]
    assignments += [f"{_column(name)} = statement_timestamp()" for name in moments]
    assignments += [SET_STARTED] * starts
    return _CHANGE.format(
        assignments="".join(f", {assignment}" for assignment in assignments),
        fence=FENCE if ends else "",
        end=END if ends else "",
        release=RELEASE if releases else "",
        wake_up=_WAKE_UP if wakes_dispatchers else "",
    )


def _column(name: str) -> str:
    return str(_field(name).column)


def _field(name: str) -> "Field[Any, Any]":
    field = Operation._meta.get_field(name)
    assert isinstance(field, Field), "no row of another table refers to an operation by this name"
    return field
