"""Which worker may take an operation, and why none can."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When

from registry import versions
from registry.models import Capability, Worker, WorkerStatus


def requires(requirements: Mapping[str, Any]) -> Q:
    """Workers whose capabilities meet each requirement: a number means at least, anything else means equal."""
    query = Q()
    for name, wanted in requirements.items():
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            query &= Q(capabilities__contains={name: wanted})
        else:
            query &= Q(**{f"capabilities__{name}__gte": wanted})
    return query


def able(operation_type: str, requirements: Mapping[str, Any]) -> QuerySet[Worker]:
    """Every registered worker that could do it, in whatever state."""
    return Worker.objects.filter(requires(requirements), announced__operation_type=operation_type)


def candidates(
    operation_type: str, requirements: Mapping[str, Any], prefer_gpu: bool = False
) -> QuerySet[Worker]:
    """Those that may take it now: GPU first where preferred, then the least recently selected."""
    free = able(operation_type, requirements).filter(
        versions.fitting(), status=WorkerStatus.AVAILABLE, cordoned=False
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
    """Where the worker takes operations of this type. Raises Capability.DoesNotExist."""
    return worker.announced.get(operation_type=operation_type).start_path


def counts(operation_type: str, requirements: Mapping[str, Any]) -> dict[str, int]:
    """`registered, busy, unavailable, cordoned` among the workers that could do it; each counted once, in that order.

    `other_protocol` is there where workers are too old or too new for this backend.
    """
    rows = able(operation_type, requirements).values_list("status", "cordoned", "protocol_version")
    tally = {"registered": 0, "busy": 0, "unavailable": 0, "cordoned": 0}
    for status, cordoned, version in rows:
        tally["registered"] += 1
        if status == WorkerStatus.TEMPORARILY_UNAVAILABLE:
            tally["unavailable"] += 1
        elif versions.problem(version):
            tally["other_protocol"] = tally.get("other_protocol", 0) + 1
        elif cordoned:
            tally["cordoned"] += 1
        elif status == WorkerStatus.BUSY:
            tally["busy"] += 1
    return tally


def explain(operation_type: str, requirements: Mapping[str, Any]) -> str:
    """Why no worker takes it now, as a sentence for people."""
    kinds = list(
        Capability.objects.filter(operation_type=operation_type)
        .values_list("worker_type", flat=True)
        .order_by("worker_type")
    )
    if not kinds:
        return f"no worker has ever announced operations of type {operation_type}"
    kind = " or ".join(kinds)
    if not able(operation_type, {}).exists():
        return f"no worker of type {kind} is registered"
    tally = counts(operation_type, requirements)
    if not tally["registered"]:
        return f"no {kind} worker has {_wanted(requirements)}"
    number = tally.pop("registered")
    having = f" with {_wanted(requirements)}" if requirements else ""
    subject = f"{number} {kind} worker{'s' if number > 1 else ''}{having}"
    if tally.pop("other_protocol", 0):
        tally |= _other_protocols(operation_type, requirements)
    states = {name: count for name, count in tally.items() if count}
    free = number - sum(states.values())
    if free:
        return f"{subject}, {free} about to be asked"
    if len(states) == 1:
        return f"{subject}, {'all ' if number > 1 else ''}{next(iter(states))}"
    return f"{subject}: " + ", ".join(f"{count} {name}" for name, count in states.items())


def _other_protocols(operation_type: str, requirements: Mapping[str, Any]) -> dict[str, int]:
    """What is wrong with them -> how many, without those that do not answer at all."""
    rows = able(operation_type, requirements).exclude(status=WorkerStatus.TEMPORARILY_UNAVAILABLE)
    spoken = rows.exclude(versions.fitting()).values_list("protocol_version", flat=True)
    return Counter(versions.problem(version) for version in sorted(spoken))


def _wanted(requirements: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}>={wanted:g}"
        if isinstance(wanted, int | float) and not isinstance(wanted, bool)
        else f"{name}={str(wanted).lower()}"
        for name, wanted in sorted(requirements.items())
    )
