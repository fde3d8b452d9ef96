"""Pools: a pool is the workers that enrol with tokens of one name. It owns its operation types and its workers' names.

The default pool is KTRDR_WORKER_TOKEN, the site's own token: it may enrol every worker type and announce every
operation type. Any other pool announces the types that it was the first to announce, and those that staff permitted:
the types in its token, and those of the worker types in its token. The product's own types belong to the default pool
from the start.
"""

from collections.abc import Collection

from registry import operations_port
from registry.models import EnrolmentToken, OperationTypeOwner

DEFAULT_POOL = ""


class ForeignType(Exception):
    """An operation type belongs to another pool."""


def pool_of(token: EnrolmentToken | None) -> str:
    """Return the name that a pool keeps when its token is replaced."""
    return DEFAULT_POOL if token is None else token.name


def describe(pool: str) -> str:
    return f"the pool {pool}" if pool else "the default pool (KTRDR_WORKER_TOKEN)"


def check_operation_types(token: EnrolmentToken | None, operation_types: Collection[str]) -> None:
    """Check that the pool may announce these types, and give it those that belong to nobody. Raises ForeignType."""
    if token is None:
        _own(DEFAULT_POOL, operation_types)
        return
    built_in = operations_port.operations().built_in_types()
    permitted = {*token.operation_types, *token.worker_types}
    permitted |= {kind for kind, worker_type in built_in.items() if worker_type in token.worker_types}
    foreign = sorted(set(operation_types) - permitted)
    owners = _own(token.name, [kind for kind in foreign if kind not in built_in])
    for operation_type in foreign:
        owner = owners.get(operation_type, DEFAULT_POOL)
        if owner != token.name:
            raise ForeignType(
                f"The enrolment token {token.name} may not announce {operation_type} operations, which belong to "
                f"{describe(owner)}; staff can permit it: manage.py permit_operation_type {token.name} {operation_type}"
            )


def _own(pool: str, operation_types: Collection[str]) -> dict[str, str]:
    """Give the pool those of the types that belong to nobody; return the owner of each."""
    announced = OperationTypeOwner.objects.filter(pk__in=set(operation_types))
    owners = dict(announced.values_list("operation_type", "pool"))
    if free := sorted(set(operation_types) - owners.keys()):
        # Workers that register at the same time announce the same types; the first insert of a type wins.
        OperationTypeOwner.objects.bulk_create(
            [OperationTypeOwner(operation_type=operation_type, pool=pool) for operation_type in free],
            ignore_conflicts=True,
        )
        owners = dict(announced.values_list("operation_type", "pool"))
    return owners
