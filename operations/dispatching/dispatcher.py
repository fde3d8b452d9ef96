"""The dispatcher: claims, pushes, asks and cancels. Any number may run, and each may die at any instruction.

What is to be done stands in the database and nowhere else: PENDING operations are claimed; an active attempt
whose `contact_after` has come has something to say to its worker, or to ask, and whoever takes it moves that
moment on, so that nobody else does it at the same time, and somebody else does it when the taker has died:

| operation   | what the worker is told or asked | and then |
|-------------|-------------------------------------|----------|
| DISPATCHING, never pushed | start | as below |
| DISPATCHING | "do you know it?" | runs it: RUNNING; finished: its report; does not know it: start, once more |
| RUNNING     | "do you know it?" (someone doubts it) | runs it: nothing; finished: its report; does not know it: lost |
| CANCELLING  | cancel | asked again until the worker reports; does not know it: CANCELLED |

No transaction is open while a worker is spoken to, and one slow worker delays nothing but its own attempt.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import structlog
from asgiref.sync import sync_to_async

from operations import journal, lifecycle, reports
from operations.actors import DISPATCHER
from operations.dispatching import claims
from operations.dispatching import follow_ups as doubts
from operations.dispatching.claims import MAX_OTHERS, Claim, Demand
from operations.dispatching.follow_ups import Doubt
from operations.models import Operation
from operations.states import Status
from registry.worker_client import (
    WorkerBusy,
    WorkerClient,
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
CONNECTION_KEPT_S = 2.0
"""Short operations come to the same worker one after the other; a handshake of TLS costs as much as all the rest of a call."""


async def db(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """In the one thread that has the database connection."""
    return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)


class Dispatcher:
    """`async with Dispatcher() as dispatcher:` rounds of work; what is said to workers goes on between them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self._client: WorkerClient

    async def __aenter__(self) -> Self:
        self._client = await self._stack.enter_async_context(WorkerClient(keepalive_s=CONNECTION_KEPT_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.settle()
        await self._stack.aclose()

    async def round(self) -> int:
        """Takes all there is to do now and begins it; returns how much that was."""
        begun = 0
        for doubt in await db(doubts.take):
            self._begin(doubt.operation_id, self._resolve(doubt))
            begun += 1
        unmet: list[Demand] = []
        while claim := await db(claims.claim_next, unmet, DISPATCHER):
            self._begin(claim.operation_id, self._push(claim))
            begun += 1
        if unmet:
            await db(claims.explain_waiting, unmet)
        return begun

    async def settle(self) -> None:
        """Waits until all that was begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, operation_id: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=operation_id)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        # Whatever went wrong, the attempt stands in the database with the moment when it is to be asked about.
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("speaking to a worker failed", exc_info=error, operation_id=task.get_name())

    async def _push(self, claim: Claim, others: int = MAX_OTHERS) -> None:
        with _speaking_of(claim):
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
            message = f"The worker refuses the parameters: {error}"
            await db(lifecycle.refuse, claim.operation_id, claim.attempt, DISPATCHER, message)
        except (WorkerUncertain, WorkerMisbehaved) as error:
            log.info("the outcome of a start is not known", reason=str(error))
            await db(doubts.ask_again, claim.operation_id, claim.attempt)
        else:
            await db(lifecycle.accept, claim.operation_id, claim.attempt, DISPATCHER)

    async def _push_elsewhere(self, claim: Claim, reason: str, others: int) -> None:
        log.info("the worker did not take it", reason=reason)
        back = await db(lifecycle.reject, claim.operation_id, claim.attempt, DISPATCHER, reason)
        if not back:
            return
        other = await db(claims.claim_again, claim.operation_id, DISPATCHER) if others else None
        if other is not None:
            await self._push(other, others - 1)
        else:
            await db(lifecycle.refuse_to_wait, claim.operation_id, reason)

    async def _resolve(self, doubt: Doubt) -> None:
        with _speaking_of(doubt):
            await self._settle(doubt)

    async def _settle(self, doubt: Doubt) -> None:
        if doubt.status == Status.CANCELLING:
            await self._cancel(doubt)
        elif doubt.start is not None and not doubt.was_pushed:
            await self._push(doubt.start)
        else:
            await self._ask(doubt)

    async def _ask(self, doubt: Doubt) -> None:
        try:
            answer = await self._client.operation(doubt.endpoint, doubt.operation_id)
        except WorkerUnknownOperation:
            await self._unknown(doubt)
        except WorkerMisbehaved as error:
            await db(
                lifecycle.lose, doubt.operation_id, doubt.attempt, DISPATCHER, f"worker misbehaved: {error}"
            )
        except WorkerError as error:
            log.info("the worker cannot be asked", reason=str(error))
            await db(doubts.ask_again, doubt.operation_id, doubt.attempt)
        else:
            await self._answered(doubt, answer)

    async def _unknown(self, doubt: Doubt) -> None:
        if doubt.start is not None:
            await self._push(doubt.start)
        else:
            await db(
                lifecycle.lose, doubt.operation_id, doubt.attempt, DISPATCHER, "the worker does not know it"
            )

    async def _answered(self, doubt: Doubt, answer: AgentOperation) -> None:
        if answer.attempt != doubt.attempt:
            await self._unknown(doubt)
        elif answer.state == "running":
            await db(lifecycle.accept, doubt.operation_id, doubt.attempt, DISPATCHER)
        elif answer.report is not None and answer.report.attempt == doubt.attempt:
            await db(apply_found_report, doubt, answer)
        else:
            await db(doubts.ask_again, doubt.operation_id, doubt.attempt)

    async def _cancel(self, doubt: Doubt) -> None:
        if not doubt.was_pushed:
            await db(lifecycle.reject, doubt.operation_id, doubt.attempt, DISPATCHER, "it was never sent")
            return
        try:
            await self._client.cancel(doubt.endpoint, doubt.operation_id, doubt.attempt, doubt.reason)
        except (WorkerUnknownOperation, WorkerConflict) as error:
            await db(lifecycle.lose, doubt.operation_id, doubt.attempt, DISPATCHER, str(error))
        except WorkerError as error:
            log.info("the worker could not be told to cancel", reason=str(error))
            await db(doubts.ask_again, doubt.operation_id, doubt.attempt)
        else:
            await db(doubts.ask_again, doubt.operation_id, doubt.attempt)


def apply_found_report(doubt: Doubt, answer: AgentOperation) -> None:
    """The report was found by asking; where its files are not here yet, the worker's own delivery counts."""
    assert answer.report is not None
    try:
        reports.apply(doubt.operation_id, doubt.endpoint.worker_id, answer.report)
    except reports.MissingFiles as error:
        log.info("the report waits for its files", reason=str(error))
        doubts.ask_again(doubt.operation_id, doubt.attempt)
    except Operation.DoesNotExist:
        return


def _speaking_of(about: Claim | Doubt) -> AbstractContextManager[None]:
    return journal.speaking_of(about.operation_id, about.attempt, about.endpoint.worker_id, about.trace)
