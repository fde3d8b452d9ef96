"""Whatever raises for one operation or worker, all others complete and the sweeps go on.

The table is generated: every function of the rooms that handle operations and workers is made to raise, one after the
other, whenever it is called for a victim. A new function is in the table as soon as it exists. One that no step of the
lanes calls for a victim must be listed in `ELSEWHERE` with the reason.
"""

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.db import transaction

import operations.dispatching
import operations.notifications
import registry
from operations import setbacks
from operations.dispatching.dispatcher import Dispatcher
from operations.registry_adapter import RegistryAdapter
from registry.endpoint import Endpoint
from tests.operations.lanes import FIRST, LAST, Lanes
from tests.rooms import SITE_ROOMS

pytestmark = pytest.mark.django_db

PACKAGES = (operations, operations.dispatching, operations.notifications, registry)
CLASSES = (Dispatcher, RegistryAdapter)
OF_A_REQUEST = frozenset(
    {
        "operations.batches",
        "operations.bulk",
        "operations.following",
        "operations.insertion",
        "operations.job_secrets",
        "operations.labels",
        "operations.listed_results",
        "operations.market_data",
        "operations.notifications.receivers",
        "operations.notifications.signing",
        "operations.notifications.subscriptions",
        "operations.notifications.wording",
        "operations.plain_completions",
        "operations.printed_results",
        "operations.queue_place",
        "operations.received_files",
        "operations.repetition",
        "operations.schemas",
        "operations.seed_runs",
        "operations.sharing",
        "operations.statistics",
        "operations.strategies",
        "operations.submission",
        "operations.uploads",
        "operations.waiting",
        "operations.watching",
        "registry.auth",
        "registry.encryption",
        "registry.enrolment",
        "registry.schedules",
        "registry.tls",
        "registry.worker_actions",
        "registry.worker_secrets",
        "registry.worker_urls",
    }
)
"""Modules that only requests and commands of people use: an exception ends that request."""
ISOLATING = frozenset(
    {
        "Dispatcher._isolate",
        "Dispatcher._spawn",
        "operations.artifacts._unlink",
        "operations.dispatching.claims.claim_some",
        "operations.kept_reports._set_aside",
        "operations.notifications.delivery._send_isolated",
        "operations.setbacks.set_aside",
    }
)
"""The functions that isolate."""
EXAMINATION = "after a commit: test_an_examination_that_raises_stops_nothing"
TIME_LIMIT = "test_a_limit_that_raises_for_one_operation_stops_no_other"
ELSEWHERE = {
    "operations.artifacts._proven_attempt": "a request",
    "operations.artifacts.download_address": "a request",
    "operations.artifacts.exists": "an upload, which is a request; `doctor`",
    "operations.artifacts.open_file": "a request",
    "operations.artifacts.readable_by_worker": "a request",
    "operations.attempts._examine": EXAMINATION,
    "operations.attempts.accept": "a registration; dispatchers store several acceptances at once: test_acceptances",
    "operations.artifacts.writable_by_worker": "a request",
    "operations.deletion._find_user": "test_labels: test_an_operation_that_cannot_be_removed_stops_no_other",
    "operations.deletion.delete": "a request",
    "operations.deletion.removed_after": "a request",
    "operations.deletion.restore": "a request",
    "operations.deletion.why_not": "a request",
    "operations.dispatching.time_limits.expire": TIME_LIMIT,
    "operations.dispatching.time_limits.stop": TIME_LIMIT,
    "operations.event_log.log_status": "a request",
    "operations.file_checks._check": "test_file_checks: test_a_file_that_cannot_be_read_stops_no_other",
    "operations.file_checks._is_whole": "test_file_checks: test_a_file_that_cannot_be_read_stops_no_other",
    "operations.interventions.resume": "a request",
    "operations.notifications.outbox.queue_worker_cordoned": EXAMINATION,
    "operations.notifications.sending._mail": "replaced by the lanes; part of `send`",
    "operations.notifications.sending._post": "replaced by the lanes; part of `send`",
    "operations.progress._claim_refresh": "a request",
    "operations.progress._fetch": "a request",
    "operations.progress._pause": "a request",
    "operations.progress._pull": "a request",
    "operations.progress.refresh": "a request",
    "operations.replaced_bars.bars_changed_since": "a request",
    "registry.selection.start_path": "only for a start that no dispatcher has sent",
    "operations.setbacks._fail": "test_a_defect_of_the_setbacks_themselves",
    "operations.setbacks._postpone": "test_a_defect_of_the_setbacks_themselves",
    "operations.setbacks._record_setback": "test_a_defect_of_the_setbacks_themselves",
    "operations.sick_workers._failure_of": EXAMINATION,
    "operations.sick_workers._has_substitute": EXAMINATION,
    "operations.sick_workers._newest_failures": EXAMINATION,
    "operations.sick_workers._others_do_better": EXAMINATION,
    "operations.sick_workers.examine": EXAMINATION,
    "registry.automatic_cordons.cordon": EXAMINATION,
}
"""Functions that no step of the lanes calls for a victim, and why that is so."""
NAMES = ("operation_id", "worker_id", "sha256")
TYPES = (
    "Attempt",
    "Claim",
    "Delivery",
    "Endpoint",
    "FinishedOperation",
    "FollowUp",
    "Operation",
    "Registration",
    "UnreadableReport",
    "Worker",
)
"""A function with a parameter of such a name or type works for one operation or worker."""


class Defect(Exception):
    """The function is broken for the victim."""


def functions_of(owner: Any, module: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(owner).items():
        if (
            inspect.isroutine(value)
            and getattr(value, "__module__", "") == module
            and not name.startswith("__")
        ):
            yield f"{owner.__name__}.{name}", value


def is_about_one(function: Callable[..., Any]) -> bool:
    """Return whether the function works for one operation, worker or file."""
    parameters = inspect.signature(function).parameters.values()
    return any(
        parameter.name in NAMES or getattr(parameter.annotation, "__name__", "") in TYPES
        for parameter in parameters
    )


def collect() -> dict[str, Callable[..., Any]]:
    """Return all functions of the packages, by their names."""
    table: dict[str, Callable[..., Any]] = {}
    for package in PACKAGES:
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not info.ispkg and info.name not in OF_A_REQUEST:
                table |= functions_of(importlib.import_module(info.name), info.name)
    for owner in CLASSES:
        table |= functions_of(owner, owner.__module__)
    return table


TABLE = collect()


def concerns(value: Any, victims: set[str]) -> bool:
    """Return whether a value is a victim, or is about exactly one."""
    match value:
        case str():
            return value in victims
        case tuple():
            return any(concerns(part, victims) for part in value)
        case list() | set() | frozenset():
            return len(value) == 1 and concerns(next(iter(value)), victims)
        case Mapping():
            return len(value) == 1 and concerns(next(iter(value.items())), victims)
    if any(getattr(value, name, None) in victims for name in NAMES):
        return True
    requirements = getattr(value, "requirements", None)
    if isinstance(requirements, dict) and victims.intersection(requirements.values()):
        return True
    payload = getattr(value, "payload", None)
    return isinstance(payload, dict) and payload["data"].get("operation_id") in victims


Hook = Callable[[str], None]


def wrap(name: str, function: Callable[..., Any], victims: set[str], hook: Hook) -> Callable[..., Any]:
    """Return the function with a call of the hook whenever it is called for a victim."""

    def check(values: tuple[Any, ...], named: dict[str, Any]) -> None:
        if any(concerns(value, victims) for value in (*values, *named.values())):
            hook(name)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapped(*values: Any, **named: Any) -> Any:
            check(values, named)
            return await function(*values, **named)

    else:

        @functools.wraps(function)
        def wrapped(*values: Any, **named: Any) -> Any:
            check(values, named)
            return function(*values, **named)

    return wrapped


def install(
    monkeypatch: pytest.MonkeyPatch, table: Mapping[str, Callable[..., Any]], victims: set[str], hook: Hook
) -> None:
    """Replace the functions wherever a module of ours refers to them."""
    wrapped = {id(function): wrap(name, function, victims, hook) for name, function in table.items()}
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] in SITE_ROOMS]
    for owner in (*modules, *CLASSES):
        for name, value in list(vars(owner).items()):
            if id(value) in wrapped:
                monkeypatch.setattr(owner, name, wrapped[id(value)])


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Lanes:
    settings.RETRY_BACKOFF_S = 0.0
    return Lanes(monkeypatch)


STEPS_OF: dict[str, list[str]] = {}
"""Function -> the steps that call it for a victim, found by one run without a defect."""
SHORT = ("reject_parameters", "fail_with_followers")
"""Steps that end in notifications; enough for the functions that only the first and the last steps call."""


@pytest.fixture
def steps_of(settings: Any) -> dict[str, list[str]]:
    if not STEPS_OF:
        settings.RETRY_BACKOFF_S = 0.0
        with pytest.MonkeyPatch.context() as monkeypatch, transaction.atomic():
            lanes = Lanes(monkeypatch)

            def note(name: str) -> None:
                steps = STEPS_OF.setdefault(name, [])
                if lanes.step not in steps:
                    steps.append(lanes.step)

            install(monkeypatch, TABLE, lanes.victims, note)
            lanes.play()
            transaction.set_rollback(True)
    return STEPS_OF


def test_without_a_defect_all_lanes_end_alike(lanes: Lanes) -> None:
    lanes.play()
    assert lanes.ends(0) == lanes.ends(1)
    lanes.assert_untouched_by_the_break()


def test_each_function_is_broken_in_a_step_or_listed_with_a_reason(steps_of: dict[str, list[str]]) -> None:
    about_one = {name for name, function in TABLE.items() if is_about_one(function)}
    assert about_one - steps_of.keys() - ISOLATING == ELSEWHERE.keys()
    assert TABLE.keys() >= ISOLATING


@pytest.mark.parametrize("name", sorted(TABLE.keys() - ISOLATING - ELSEWHERE.keys()))
def test_a_defect_for_one_operation_or_worker_stops_no_other(
    name: str, lanes: Lanes, steps_of: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name not in steps_of:
        assert not is_about_one(TABLE[name])
        return  # it works for none, or for all at once
    raised = []

    def break_it(name: str) -> None:
        raised.append(name)
        raise Defect(name)

    install(monkeypatch, {name: TABLE[name]}, lanes.victims, break_it)
    steps = [step for step in steps_of[name] if step not in (FIRST, *LAST)] or SHORT
    lanes.play(*steps[:2])
    assert raised
    lanes.assert_untouched_by_the_break()


@pytest.mark.parametrize("name", ["_fail", "_postpone", "_record_setback", "describe", "pause"])
def test_a_defect_of_the_setbacks_themselves_stops_no_other(
    name: str, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operation cannot be claimed, and cannot be set aside either."""

    def break_it(name: str) -> None:
        raise Defect(name)

    claim = "operations.dispatching.claims.build_claim"
    install(monkeypatch, {claim: TABLE[claim]}, lanes.victims, break_it)
    raised = []

    def fail(*values: Any) -> None:
        raised.append(name)
        raise Defect(name)

    monkeypatch.setattr(setbacks, name, fail)
    lanes.play("reject_parameters", "fail_with_followers")
    lanes.assert_untouched_by_the_break()
    lanes.register_all()  # The play ends without workers, and before the last setback.
    for _ in range(setbacks.MAX_SETBACKS):
        lanes.dispatch()
    assert raised


@pytest.mark.parametrize("call", ["start", "operation", "cancel", "health", "drain"])
def test_a_call_to_one_worker_that_raises_anything_stops_no_other(call: str, lanes: Lanes) -> None:
    raised = []

    def break_it(worker: Endpoint) -> None:
        if worker.worker_id in lanes.victims:
            raised.append(call)
            raise Defect(call)

    lanes.calls[call] = break_it
    lanes.play()
    assert raised
    lanes.assert_untouched_by_the_break()
