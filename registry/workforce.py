"""A snapshot of the workers, from which many demands are judged and explained without a query for each one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.db.models import Count

from registry import protocol_versions
from registry.models import Capability, Worker, WorkerStatus

Requirements = Mapping[str, Any]


def meets(capabilities: Mapping[str, Any], requirements: Requirements) -> bool:
    """Return whether the capabilities meet every requirement: at least a number, equal to anything else.

    The same rule as `selection.requires` has for the database.
    """
    return all(
        name in capabilities and _meets(capabilities[name], value) for name, value in requirements.items()
    )


def _meets(capability: Any, requirement: Any) -> bool:
    if _is_number(requirement):
        return _is_number(capability) and bool(capability >= requirement)
    return type(capability) is type(requirement) and bool(capability == requirement)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Group:
    """Workers with the same capabilities in the same state."""

    capabilities: Mapping[str, Any]
    status: str
    cordoned: bool
    protocol_version: int
    number: int

    @property
    def is_unavailable(self) -> bool:
        return self.status == WorkerStatus.TEMPORARILY_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Workforce:
    """All registered workers, and the worker types that ever announced each operation type."""

    groups: Mapping[str, list[Group]]
    """by operation type"""
    worker_types: Mapping[str, list[str]]

    @classmethod
    def load(cls) -> Self:
        rows = (
            Worker.objects.order_by()
            .filter(announced__isnull=False)
            .values_list(
                "announced__operation_type", "capabilities", "status", "cordoned", "protocol_version"
            )
            .annotate(number=Count("pk"))
        )
        worker_types: dict[str, list[str]] = {}
        announced = Capability.objects.order_by("worker_type").values_list("operation_type", "worker_type")
        for operation_type, worker_type in announced:
            worker_types.setdefault(operation_type, []).append(worker_type)
        groups: dict[str, list[Group]] = {}
        for operation_type, *properties in rows:
            group = Group(*properties)
            groups.setdefault(operation_type, []).append(group)
        return cls(groups, worker_types)

    def capable(self, operation_type: str, requirements: Requirements) -> list[Group]:
        """Return the workers that could run it, whatever their status."""
        groups = self.groups.get(operation_type, [])
        return [group for group in groups if meets(group.capabilities, requirements)]

    def in_service(self, operation_type: str, requirements: Requirements) -> int:
        """Return how many workers take such operations, one after the other."""
        return sum(
            group.number
            for group in self.capable(operation_type, requirements)
            if not group.is_unavailable
            and not group.cordoned
            and not protocol_versions.incompatibility(group.protocol_version)
        )

    def counts(self, operation_type: str, requirements: Requirements) -> dict[str, int]:
        """Count the workers that could run it: `registered`, and of these `busy, unavailable, cordoned`, each counted once.

        `other_protocol` is present only if some workers are too old or too new for this backend.
        """
        return _count(self.capable(operation_type, requirements))

    def explain(self, operation_type: str, requirements: Requirements) -> str:
        """Explain why no worker takes it now."""
        if operation_type not in self.worker_types:
            return f"no worker has ever announced operations of type {operation_type}"
        kind = " or ".join(self.worker_types[operation_type])
        if not self.groups.get(operation_type):
            return f"no worker of type {kind} is registered"
        groups = self.capable(operation_type, requirements)
        tally = _count(groups)
        number = tally.pop("registered")
        if not number:
            return f"no {kind} worker has {_format_requirements(requirements)}"
        having = f" with {_format_requirements(requirements)}" if requirements else ""
        subject = f"{number} {kind} worker{'s' if number > 1 else ''}{having}"
        if tally.pop("other_protocol", 0):
            tally |= _count_incompatible(groups)
        states = {name: count for name, count in tally.items() if count}
        free = number - sum(states.values())
        if free:
            return f"{subject}, {free} about to be assigned"
        if len(states) == 1:
            return f"{subject}, {'all ' if number > 1 else ''}{next(iter(states))}"
        return f"{subject}: " + ", ".join(f"{count} {name}" for name, count in states.items())


def _count(groups: Sequence[Group]) -> dict[str, int]:
    tally = {"registered": 0, "busy": 0, "unavailable": 0, "cordoned": 0}
    for group in groups:
        tally["registered"] += group.number
        if group.is_unavailable:
            tally["unavailable"] += group.number
        elif protocol_versions.incompatibility(group.protocol_version):
            tally["other_protocol"] = tally.get("other_protocol", 0) + group.number
        elif group.cordoned:
            tally["cordoned"] += group.number
        elif group.status == WorkerStatus.BUSY:
            tally["busy"] += group.number
    return tally


def _count_incompatible(groups: Sequence[Group]) -> dict[str, int]:
    """Count workers by incompatibility, without those that do not respond."""
    tally: Counter[str] = Counter()
    for group in sorted(groups, key=lambda group: group.protocol_version):
        if not group.is_unavailable and (
            problem := protocol_versions.incompatibility(group.protocol_version)
        ):
            tally[problem] += group.number
    return tally


def _format_requirements(requirements: Requirements) -> str:
    return ", ".join(
        f"{name}>={_format_number(value)}" if _is_number(value) else f"{name}={str(value).lower()}"
        for name, value in sorted(requirements.items())
    )


def _format_number(value: float) -> str:
    try:
        return f"{value:g}"
    except OverflowError:  # JSON integers have no limit
        return "a number with more than 300 digits"
