"""How much of the queue and of the workers a user may have."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection

from access.prepared import fetch
from access.problems import Busy, Unavailable, invalid
from access.roles import Role, role_of
from operations.models import Operation
from operations.requests import LARGEST, SMALLEST
from operations.states import ACTIVE

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LOCK_KEY = 0x6B74_7175
"""First key of the advisory lock of an owner: the bytes of `ktqu`."""
RETRY_AFTER_S = 60
NO_LIMIT = 0
"""In the settings and in the rows; here a limit that does not exist is infinite."""
_QUOTAS = """
    SELECT user_id, true, weight, max_running, max_pending FROM operations_quota WHERE user_id {owners}
    UNION ALL
    SELECT auth_user_groups.user_id, false, weight, max_running, max_pending
    FROM operations_quota JOIN auth_user_groups USING (group_id) WHERE auth_user_groups.user_id {owners}
"""
_QUOTAS_OF_ONE = _QUOTAS.format(owners="= %(owner)s")
"""Its plan is kept, while the best plan for several depends on their number."""
_QUOTAS_OF_SEVERAL = _QUOTAS.format(owners="= ANY(%(owners)s::int[])")
PENDING_EXCEED = f"""
    %(owner)s::int IS NOT NULL AND COALESCE((
        SELECT %(number)s::int > allowed OR EXISTS (
            SELECT FROM operations_operation WHERE status = 'PENDING' AND created_by_id = %(owner)s::int
            OFFSET (allowed - %(number)s::int)::bigint LIMIT 1
        )
        FROM (
            SELECT COALESCE(
                max(most) FILTER (WHERE is_own), max(most) FILTER (WHERE NOT is_own), %(max_pending)s::float8
            ) AS allowed
            FROM (
                SELECT is_own, CASE max_pending WHEN {NO_LIMIT} THEN 'Infinity' ELSE max_pending::float8 END AS most
                FROM ({_QUOTAS_OF_ONE}) AS quota (owner, is_own, weight, max_running, max_pending)
            ) AS quotas
        ) AS allowance
        WHERE allowed < 'Infinity'
    ), false)
"""  # noqa: S608  (constants)
"""Whether the owner may not have `number` more operations waiting; `max_pending` is the limit without a quota.

Requests that arrive at the same moment may exceed the limit by their own operations.
"""
DEMANDS_EXCEED = """
    %(owner)s::int IS NOT NULL AND (
        WITH RECURSIVE waiting AS (
            (SELECT demand FROM operations_operation WHERE status = 'PENDING' AND created_by_id = %(owner)s::int
             ORDER BY demand LIMIT 1)
        UNION ALL
            SELECT (SELECT demand FROM operations_operation
                    WHERE status = 'PENDING' AND created_by_id = %(owner)s::int AND demand > waiting.demand
                    ORDER BY demand LIMIT 1)
            FROM waiting WHERE waiting.demand IS NOT NULL
        )
        SELECT count(*) > %(max_demands)s::int FROM (
            (SELECT demand FROM waiting WHERE demand IS NOT NULL LIMIT %(max_demands)s::int + 1)
            UNION SELECT demand FROM given
        ) AS all_demands
    )
"""
"""Whether the waiting operations of the owner, with the new ones in `given`, have too many different requirements.

It steps through the index from demand to demand, however many operations have the same one.
"""
MAX_DEMANDS = 1_000
"""Different requirements of the waiting operations of a user: each round of a dispatcher looks at all of them."""
PRIORITIES: Mapping[Role, range] = {
    Role.OPERATOR: range(-100, 101),
    Role.STAFF: range(SMALLEST, LARGEST + 1),
}
"""The priorities that a role may use. Viewers submit nothing."""


DEFAULT_WEIGHT = 1.0
Values = tuple[float | None, float | None, float | None]
"""Weight, limit of running and limit of pending operations of a row; None is inherited."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The share and the limits that hold for a user."""

    weight: float
    max_running: float
    max_pending: float


def allowances(owners: Collection[int]) -> dict[int, Allowance]:
    """Return the allowance of each owner, in one query: its own values, else those of its groups, else the settings."""
    if len(owners) == 1:
        rows = fetch(_QUOTAS_OF_ONE, {"owner": next(iter(owners))})
    else:
        rows = fetch(_QUOTAS_OF_SEVERAL, {"owners": list(owners)})
    return _allowances(owners, rows)


def _allowances(owners: Collection[int], rows: Iterable[Sequence[Any]]) -> dict[int, Allowance]:
    own: dict[int, list[Values]] = {}
    of_groups: dict[int, list[Values]] = {}
    for owner, is_own, weight, max_running, max_pending in rows:
        values = (weight, _unlimited(max_running), _unlimited(max_pending))
        (own if is_own else of_groups).setdefault(owner, []).append(values)
    return {owner: _resolve(own.get(owner, []), of_groups.get(owner, [])) for owner in owners}


def _resolve(own: list[Values], of_groups: list[Values]) -> Allowance:
    defaults: Values = (
        DEFAULT_WEIGHT,
        _unlimited(settings.MAX_RUNNING_PER_USER),
        _unlimited(settings.MAX_PENDING_PER_USER),
    )
    return Allowance(*(_first(own, of_groups, [defaults], position) for position in range(3)))


def _first(own: list[Values], of_groups: list[Values], defaults: list[Values], position: int) -> float:
    """Return the own value at the position, else the largest of the groups', else the default."""
    for rows in (own, of_groups, defaults):
        if known := [value for row in rows if (value := row[position]) is not None]:
            return max(known)
    raise AssertionError("every value has a default")


def usual_max_pending() -> float:
    """Return how many operations a user without a quota may have waiting."""
    limit = _unlimited(settings.MAX_PENDING_PER_USER)
    assert limit is not None
    return limit


def _unlimited(limit: int | None) -> float | None:
    return inf if limit == NO_LIMIT else limit


def allowance_of(user: "User") -> Allowance:
    return allowances([user.pk])[user.pk]


def require_priority(priority: int, user: "User | None") -> None:
    """Raise Invalid if the user's role may not use the priority."""
    if user is None:
        return
    role = role_of(user)
    allowed = PRIORITIES.get(role, range(1))
    if priority not in allowed:
        detail = f"The priority {priority} is outside the range of the role {role.group}, {allowed[0]} to {allowed[-1]}."
        raise invalid("/priority", detail)


def too_many_pending(user: "User") -> Busy:
    """Return the error if `PENDING_EXCEED`."""
    return Busy(
        f"You may have {allowance_of(user).max_pending:,} pending operations; wait until some have started, or cancel some.",
        RETRY_AFTER_S,
    )


def too_many_demands() -> Busy:
    """Return the error if `DEMANDS_EXCEED`."""
    return Busy(
        f"Your pending operations may have {MAX_DEMANDS:,} different requirements; round the values that you require.",
        RETRY_AFTER_S,
    )


def running_room(owner: int, allowance: Allowance) -> float:
    """Return how many more operations the owner may have running; the answer holds until the transaction ends."""
    if allowance.max_running == inf:
        return inf
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_KEY, owner])
    return allowance.max_running - count_running(owner)


def count_running(owner: int) -> int:
    return Operation.objects.filter(status__in=ACTIVE, created_by=owner or None).count()


def require_running(user: "User | None") -> None:
    """Raise Unavailable if the user may not have one more operation running."""
    if user is not None and running_room(user.pk, allowance := allowance_of(user)) < 1:
        raise Unavailable(
            f"You may have {allowance.max_running:,} operations running; wait until one has ended."
        )
