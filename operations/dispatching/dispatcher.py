"""The dispatcher: claims operations, starts them on workers, follows up and cancels.

Any number may run, and each may die at any instruction, because all work is in the database: PENDING operations are
claimed; an active attempt whose `contact_after` has passed needs a follow-up call to its worker. The dispatcher that
takes it postpones that moment, so no other one handles it at the same time, and another one does if this one dies:

| operation   | call to the worker | result |
|-------------|--------------------|--------|
| DISPATCHING, never pushed | start | as below |
| DISPATCHING | query the operation | running: RUNNING; finished: its report; unknown: start again |
| RUNNING     | query the operation (its state is in doubt) | running: nothing; finished: its report; unknown: lost |
| CANCELLING  | cancel | repeated until the worker reports; unknown: CANCELLED |
| RUNNING, over a time limit | cancel | repeated until the worker reports; unknown: FAILED |

No transaction is open during a call to a worker, and a slow worker delays only its own attempt.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import structlog
from asgiref.sync import sync_to_async

from access.isolation import is_database_trouble
from operations import attempts, dispatch_pauses, event_log, interruptions, lifecycle, reports
from operations.actors import DISPATCHER
from operations.dispatching import claims, follow_ups, time_limits
from operations.dispatching.acceptances import Acceptances
from operations.dispatching.claims import MAX_OTHERS, Claim
from operations.dispatching.due import Due, read_due
from operations.dispatching.follow_ups import FollowUp
from operations.dispatching.planning import Planner
from operations.dispatching.reasons import Reasons
from operations.dispatching.turns import Plan
from operations.models import Operation
from operations.setbacks import set_aside
from registry.worker_client import WorkerClient
from registry.worker_errors import (
    WorkerBusy,
    WorkerConflict,
    WorkerError,
    WorkerInvalid,
    WorkerMisbehaved,
    WorkerRefused,
    WorkerUnauthorized,
    WorkerUncertain,
    WorkerUnknownOperation,
)
from worker_agent.protocol import AgentOperation

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
LIMITS_INTERVAL_S = 1.0
PAUSE_INTERVAL_S = 1.0
"""How often a dispatcher asks whether the site is read-only."""
KEEPALIVE_S = 2.0
"""Short operations reach the same worker one after the other, and a TLS handshake costs as much as the rest of a call."""


async def db(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in the one thread that has the database connection."""
    return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)


class Dispatcher:
    """`async with Dispatcher() as dispatcher:` runs rounds of work; calls to workers continue between them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self._client: WorkerClient
        self._limits_due = 0.0
        self._pause_due = 0.0
        self._is_read_only = False
        self._acceptances = Acceptances()
        self._planner = Planner()
        self._reasons = Reasons()

    async def __aenter__(self) -> Self:
        self._client = await self._stack.enter_async_context(WorkerClient(keepalive_s=KEEPALIVE_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()
        await self._stack.aclose()

    async def round(self) -> int:
        """Start all work that is due now; return how much that was. While the site is read-only nothing is due."""
        if await self._is_site_read_only():
            await self.drain()
            return 0
        started = await self._enforce_time_limits()
        due, plan, some = await db(self._read_and_claim)
        if due.has_follow_ups:
            for follow_up in await db(follow_ups.lease_due):
                self._spawn(follow_up.operation_id, self._handle(follow_up))
                started += 1
            plan, some = await db(self._plan_and_claim, due)
        while some:
            for claim in some:
                self._spawn(claim.operation_id, self._push(claim))
            started += len(some)
            some = await db(claims.claim_some, plan, DISPATCHER) if plan.lanes else []
        if self._reasons.is_due:
            await db(self._reasons.refresh_if_due)
        return started

    def _read_and_claim(self) -> tuple[Due, Plan, list[Claim]]:
        """Do in one call what most rounds need: to change the thread takes as long as several statements.

        If follow-ups are due, these come first, so that a claim that raises does not delay them.
        """
        due = read_due()
        plan, some = (Plan([], {}, {}), []) if due.has_follow_ups else self._plan_and_claim(due)
        return due, plan, some

    def _plan_and_claim(self, due: Due) -> tuple[Plan, list[Claim]]:
        if not (due.has_ready or due.has_admissions):
            return Plan([], {}, {}), []
        plan = self._planner.make_plan() if due.has_admissions else self._planner.plan_ready()
        return plan, claims.claim_some(plan, DISPATCHER)

    async def _enforce_time_limits(self) -> int:
        """Enforce them at most once a second: rounds may follow one another much faster."""
        if time.monotonic() < self._limits_due:
            return 0
        self._limits_due = time.monotonic() + LIMITS_INTERVAL_S
        return await db(time_limits.enforce)

    async def _is_site_read_only(self) -> bool:
        if time.monotonic() >= self._pause_due:
            self._pause_due = time.monotonic() + PAUSE_INTERVAL_S
            self._is_read_only = await db(dispatch_pauses.is_read_only)
        return self._is_read_only

    async def drain(self) -> None:
        """Wait until all started work has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, operation_id: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._isolate(operation_id, work), name=operation_id)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    async def _isolate(self, operation_id: str, work: Coroutine[Any, Any, None]) -> None:
        """Set the operation aside if its handling raises. Otherwise its next follow-up would raise again, without end."""
        try:
            await work
        except Exception as error:
            if is_database_trouble(error):
                log.warning(
                    "handling of an operation was cut off", operation_id=operation_id, reason=str(error)
                )
                return
            log.exception("handling of an operation failed unexpectedly", operation_id=operation_id)
            await db(set_aside, operation_id, error)

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        # Whatever failed, the attempt is in the database with the time of its next follow-up.
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("could not set an operation aside", exc_info=error, operation_id=task.get_name())

    async def _push(self, claim: Claim, others: int = MAX_OTHERS) -> None:
        """Send the start; if the worker rejects it, try up to `others` other workers."""
        with _log_context(claim):
            await self._start(claim, others)

    async def _start(self, claim: Claim, others: int) -> None:
        try:
            await self._client.start(claim.endpoint, claim.start_path, claim.request)
        except (
            WorkerBusy,
            WorkerRefused,
            WorkerConflict,
            WorkerUnauthorized,
            WorkerUnknownOperation,
        ) as error:
            await self._push_elsewhere(claim, f"{claim.endpoint.worker_id}: {error}", others)
        except WorkerInvalid as error:
            message = f"The worker rejected the parameters: {error}"
            await db(attempts.fail_invalid, claim.operation_id, claim.attempt, DISPATCHER, message)
        except (WorkerUncertain, WorkerMisbehaved) as error:
            log.info("outcome of the start is unknown", reason=str(error))
            await db(follow_ups.schedule_again, claim.operation_id, claim.attempt)
        else:
            await self._acceptances.store(claim.operation_id, claim.attempt)

    async def _push_elsewhere(self, claim: Claim, reason: str, others: int) -> None:
        log.info("worker rejected the operation", reason=reason)
        is_requeued = await db(interruptions.reject, claim.operation_id, claim.attempt, DISPATCHER, reason)
        if not is_requeued:
            return
        other = await db(claims.claim_another, claim.operation_id, DISPATCHER) if others else None
        if other is not None:
            await self._push(other, others - 1)
        else:
            await db(lifecycle.fail_without_worker, claim.operation_id, reason)

    async def _handle(self, follow_up: FollowUp) -> None:
        with _log_context(follow_up):
            await self._follow_up(follow_up)

    async def _follow_up(self, follow_up: FollowUp) -> None:
        if follow_up.must_stop:
            await self._cancel(follow_up)
        elif follow_up.start is not None and not follow_up.was_pushed:
            await self._push(follow_up.start)
        else:
            await self._query(follow_up)

    async def _query(self, follow_up: FollowUp) -> None:
        try:
            operation = await self._client.operation(follow_up.endpoint, follow_up.operation_id)
        except WorkerUnknownOperation:
            await self._handle_unknown(follow_up)
        except WorkerMisbehaved as error:
            await db(
                interruptions.mark_lost,
                follow_up.operation_id,
                follow_up.attempt,
                DISPATCHER,
                f"worker misbehaved: {error}",
            )
        except WorkerError as error:
            log.info("worker unreachable", reason=str(error))
            await db(follow_ups.schedule_again, follow_up.operation_id, follow_up.attempt)
        else:
            await self._handle_state(follow_up, operation)

    async def _handle_unknown(self, follow_up: FollowUp) -> None:
        if follow_up.start is not None:
            await self._push(follow_up.start)
        else:
            await db(
                interruptions.mark_lost,
                follow_up.operation_id,
                follow_up.attempt,
                DISPATCHER,
                "the worker does not know the operation",
            )

    async def _handle_state(self, follow_up: FollowUp, operation: AgentOperation) -> None:
        if operation.attempt != follow_up.attempt:
            await self._handle_unknown(follow_up)
        elif operation.state == "running":
            await self._acceptances.store(follow_up.operation_id, follow_up.attempt)
        elif operation.report is not None and operation.report.attempt == follow_up.attempt:
            await db(apply_fetched_report, follow_up, operation)
        else:
            await db(follow_ups.schedule_again, follow_up.operation_id, follow_up.attempt)

    async def _cancel(self, follow_up: FollowUp) -> None:
        if not follow_up.was_pushed:
            await db(
                interruptions.reject,
                follow_up.operation_id,
                follow_up.attempt,
                DISPATCHER,
                "the start was never sent",
            )
            return
        try:
            await self._client.cancel(
                follow_up.endpoint, follow_up.operation_id, follow_up.attempt, follow_up.reason
            )
        except (WorkerUnknownOperation, WorkerConflict) as error:
            await db(
                interruptions.mark_lost, follow_up.operation_id, follow_up.attempt, DISPATCHER, str(error)
            )
        except WorkerError as error:
            log.info("could not cancel at the worker", reason=str(error))
            await db(follow_ups.schedule_again, follow_up.operation_id, follow_up.attempt)
        else:
            await db(follow_ups.schedule_again, follow_up.operation_id, follow_up.attempt)


def apply_fetched_report(follow_up: FollowUp, operation: AgentOperation) -> None:
    """Apply a report fetched from the worker; if its files are missing, wait for the worker's own delivery."""
    assert operation.report is not None
    try:
        reports.apply(follow_up.operation_id, follow_up.endpoint.worker_id, operation.report)
    except reports.MissingFiles as error:
        log.info("report is waiting for its files", reason=str(error))
        follow_ups.schedule_again(follow_up.operation_id, follow_up.attempt)
    except Operation.DoesNotExist:
        return


def _log_context(subject: Claim | FollowUp) -> AbstractContextManager[None]:
    return event_log.log_context(
        subject.operation_id, subject.attempt, subject.endpoint.worker_id, subject.trace
    )
