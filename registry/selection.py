"""Selects the workers that can run an operation, and explains why none can."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When

from registry import protocol_versions
from registry.models import Capability, Worker, WorkerStatus


def requires(requirements: Mapping[str, Any]) -> Q:
    """Select workers whose capabilities meet every requirement: at least a number, equal to anything else."""
    query = Q()
    for name, value in requirements.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            query &= Q(capabilities__contains={name: value})
        else:
            query &= Q(**{f"capabilities__{name}__gte": value})
    return query


def capable(operation_type: str, requirements: Mapping[str, Any]) -> QuerySet[Worker]:
    """Return every registered worker that could run it, whatever its status."""
    return Worker.objects.filter(requires(requirements), announced__operation_type=operation_type)


def candidates(
    operation_type: str, requirements: Mapping[str, Any], prefer_gpu: bool = False
) -> QuerySet[Worker]:
    """Return the workers that may take it now: GPU first if preferred, then the least recently selected."""
    free = capable(operation_type, requirements).filter(
        protocol_versions.compatible(), status=WorkerStatus.AVAILABLE, cordoned=False
    )
    order: list[Any] = [F("last_selected_at").asc(nulls_first=True), "worker_id"]
    if prefer_gpu:
        gpu = Case(
            When(capabilities__contains={"gpu": True}, then=Value(0)),
            default=Value(1),
            output_field=IntegerField(),
        )
        order.insert(0, gpu)
    return free.order_by(*order)


def start_path(worker: Worker, operation_type: str) -> str:
    """Return the path at which the worker starts operations of this type. Raises Capability.DoesNotExist."""
    return worker.announced.get(operation_type=operation_type).start_path


def counts(operation_type: str, requirements: Mapping[str, Any]) -> dict[str, int]:
    """Count the workers that could run it: `registered`, and of these `busy, unavailable, cordoned`, each counted once.

    `other_protocol` is present only if some workers are too old or too new for this backend.
    """
    rows = capable(operation_type, requirements).values_list("status", "cordoned", "protocol_version")
    tally = {"registered": 0, "busy": 0, "unavailable": 0, "cordoned": 0}
    for status, cordoned, version in rows:
        tally["registered"] += 1
        if status == WorkerStatus.TEMPORARILY_UNAVAILABLE:
            tally["unavailable"] += 1
        elif protocol_versions.incompatibility(version):
            tally["other_protocol"] = tally.get("other_protocol", 0) + 1
        elif cordoned:
            tally["cordoned"] += 1
        elif status == WorkerStatus.BUSY:
            tally["busy"] += 1
    return tally


def explain(operation_type: str, requirements: Mapping[str, Any]) -> str:
    """Explain why no worker takes it now."""
    kinds = list(
        Capability.objects.filter(operation_type=operation_type)
        .values_list("worker_type", flat=True)
        .order_by("worker_type")
    )
    if not kinds:
        return f"no worker has ever announced operations of type {operation_type}"
    kind = " or ".join(kinds)
    if not capable(operation_type, {}).exists():
        return f"no worker of type {kind} is registered"
    tally = counts(operation_type, requirements)
    if not tally["registered"]:
        return f"no {kind} worker has {_format_requirements(requirements)}"
    number = tally.pop("registered")
    having = f" with {_format_requirements(requirements)}" if requirements else ""
    subject = f"{number} {kind} worker{'s' if number > 1 else ''}{having}"
    if tally.pop("other_protocol", 0):
        tally |= _other_protocols(operation_type, requirements)
    states = {name: count for name, count in tally.items() if count}
    free = number - sum(states.values())
    if free:
        return f"{subject}, {free} about to be assigned"
    if len(states) == 1:
        return f"{subject}, {'all ' if number > 1 else ''}{next(iter(states))}"
    return f"{subject}: " + ", ".join(f"{count} {name}" for name, count in states.items())


def _other_protocols(operation_type: str, requirements: Mapping[str, Any]) -> dict[str, int]:
    """Count workers by incompatibility, without those that do not respond."""
    rows = capable(operation_type, requirements).exclude(status=WorkerStatus.TEMPORARILY_UNAVAILABLE)
    versions = rows.exclude(protocol_versions.compatible()).values_list("protocol_version", flat=True)
    return Counter(protocol_versions.incompatibility(version) for version in sorted(versions))


def _format_requirements(requirements: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}>={value:g}"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else f"{name}={str(value).lower()}"
        for name, value in sorted(requirements.items())
    )
