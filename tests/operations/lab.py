"""A day of a lab in compressed time: the real queue and database, simulated workers and users.

Time is virtual: operations are stored with the time of the day at which they are submitted, and end when the simulated
worker has worked for their duration. Claims, acceptances, losses and reports are those of the product. Some jobs fail,
workers are lost with their work and return, and some are cordoned for a while.
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from django.contrib.auth.models import User
from django.db.models.functions import Now

from operations import attempts, interruptions, reports
from operations.actors import DISPATCHER, SWEEP
from operations.dispatching import admission, claims
from operations.dispatching.planning import Planner
from operations.models import Attempt, Operation
from registry.models import Capability, Worker
from worker_agent.protocol import ErrorClass, OperationError, Outcome, Report

DAY_S = 24 * 3600.0
TICK_S = 60.0
"""Events within a tick are handled together, followed by one round of the dispatcher."""
MORNING = datetime(2026, 6, 1, tzinfo=UTC)
GPU_EVERY = 10
LOSS, FAILURES, CORDONS = 0.01, 0.02, 0.05
CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Job:
    """An operation that somebody submits. Times in seconds of the day."""

    user: int
    submitted: float
    duration: float
    needs_gpu: bool


@dataclass(slots=True)
class Outcomes:
    """The day, judged at its end."""

    jobs: int
    lost: int
    """Operations that did not end as their job did, or without exactly one attempt that ended so."""
    doubled: int
    """Operations that were started while they were running."""
    ratios: list[float]
    """Per user: mean time from submission to end, by that on a private share of the workers."""
    losses: int
    """Attempts whose worker was lost."""
    failures: int
    """Operations whose job failed."""
    longest_queue: int


@dataclass(slots=True)
class Lab:
    """`Lab(...).run()` needs an empty database."""

    workers: int
    users: int
    jobs: int
    seed: int = 1
    _chance: random.Random = field(init=False)
    _plan: list[Job] = field(init=False)
    _ends: list[tuple[float, str, int, str]] = field(default_factory=list)
    """(time, operation, attempt, worker) of running jobs: a heap."""
    _running: Counter[str] = field(default_factory=Counter)
    _ended: dict[str, float] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)
    _waiting: int = 0
    _doubled: int = 0
    _losses: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._plan = sorted(self._make_jobs(), key=lambda job: job.submitted)

    def _make_jobs(self) -> Iterator[Job]:
        """A tenth of the users submit half of all jobs in a few bursts; the others submit all day.

        The jobs of the day keep the workers busy for four fifths of it.
        """
        mean_s = 0.8 * DAY_S * self.workers / self.jobs
        heavy = max(1, self.users // 10)
        for number in range(self.jobs):
            is_burst = number % 2 == 0
            user = number // 2 % heavy if is_burst else heavy + self._chance.randrange(self.users - heavy)
            hour = self._chance.choice((2, 9, 14)) if is_burst else self._chance.triangular(0, 20, 10)
            # A GPU job in as many as there are workers with a GPU, so that both kinds have the same load.
            needs_gpu = self._chance.randrange(GPU_EVERY) == 0
            yield Job(user, hour * 3600.0, self._chance.expovariate(1 / mean_s), needs_gpu)

    def run(self) -> Outcomes:
        self._create_workers()
        names = self._store_jobs()
        planner, now, longest = Planner(), 0.0, 0
        submitted = iter(sorted(names, key=lambda pk: names[pk].submitted))
        next_pk = next(submitted, None)
        while next_pk is not None or len(self._ended) < len(names):
            now += TICK_S
            due = []
            while next_pk is not None and names[next_pk].submitted <= now:
                due.append(next_pk)
                next_pk = next(submitted, None)
            if due:
                # Not submitted yet is simulated as paused.
                Operation.objects.filter(pk__in=due).update(not_before=None)
            self._waiting += len(due)
            self._end_due(now)
            self._cordon_some()
            if self._waiting:
                self._dispatch(planner, now, names)
            longest = max(longest, self._waiting)
            assert now < 10 * DAY_S, f"{len(names) - len(self._ended)} operations never ended"
        return self._judge(names, longest)

    def _create_workers(self) -> None:
        kind = Capability.objects.create(
            operation_type="job", worker_type="stub", start_path="/job/start", parameters_schema={}
        )
        rows = Worker.objects.bulk_create(
            Worker(
                worker_id=f"stub-{number:04}",
                worker_type="stub",
                instance_id="i",
                endpoint_url="http://127.0.0.1:1",
                capabilities={"gpu": number % GPU_EVERY == 0},
            )
            for number in range(self.workers)
        )
        Worker.announced.through.objects.bulk_create(
            Worker.announced.through(worker=row, capability=kind) for row in rows
        )

    def _store_jobs(self) -> dict[str, Job]:
        people = User.objects.bulk_create(User(username=f"user-{number}") for number in range(self.users))
        rows = [
            Operation(
                operation_type="job",
                requirements={"gpu": True} if job.needs_gpu else {"gpu": False},
                created_by=people[job.user],
                created_at=MORNING + timedelta(seconds=job.submitted),
                not_before=datetime(2199, 1, 1, tzinfo=UTC),
                blockers=0,
                max_attempts=100,
            )
            for job in self._plan
        ]
        Operation.objects.bulk_create(rows, batch_size=CHUNK)
        admission.store_demands([row.pk for row in rows])
        return {row.pk: job for row, job in zip(rows, self._plan, strict=True)}

    def _end_due(self, now: float) -> None:
        """End the jobs whose time has come: most complete, some fail or are lost with their worker, which returns."""
        while self._ends and self._ends[0][0] <= now:
            moment, pk, number, worker_id = heapq.heappop(self._ends)
            self._running[pk] -= 1
            if self._chance.random() < LOSS:
                self._losses += 1
                self._waiting += 1
                interruptions.mark_lost(pk, number, SWEEP, "the worker was switched off")
                Operation.objects.filter(pk=pk).update(not_before=None)
                Worker.objects.filter(pk=worker_id).update(last_healthy_at=Now())
                continue
            assert reports.apply(pk, worker_id, self._report(pk, number)) is reports.ReportStatus.APPLIED
            self._ended[pk] = moment

    def _report(self, pk: str, number: int) -> Report:
        if self._chance.random() >= FAILURES:
            return Report(attempt=number, instance_id="i", outcome=Outcome.COMPLETED, result={})
        self._failed.add(pk)
        error = OperationError(error_class=ErrorClass.JOB, message="ValueError: no bars")
        return Report(attempt=number, instance_id="i", outcome=Outcome.FAILED, error=error)

    def _cordon_some(self) -> None:
        if self._chance.random() < 1 / 30:
            Worker.objects.filter(cordoned=True).update(cordoned=False)
            chosen = self._chance.sample(range(self.workers), int(CORDONS * self.workers))
            Worker.objects.filter(pk__in=[f"stub-{number:04}" for number in chosen]).update(cordoned=True)

    def _dispatch(self, planner: Planner, now: float, names: dict[str, Job]) -> None:
        plan = planner.make_plan()
        for claim in chain.from_iterable(iter(lambda: claims.claim_some(plan, DISPATCHER), [])):
            pk = claim.operation_id
            attempts.accept(pk, claim.attempt, DISPATCHER)
            self._doubled += self._running[pk] > 0 or pk in self._ended
            self._running[pk] += 1
            self._waiting -= 1
            entry = (now + names[pk].duration, pk, claim.attempt, claim.endpoint.worker_id)
            heapq.heappush(self._ends, entry)

    def _judge(self, names: dict[str, Job], longest_queue: int) -> Outcomes:
        ends = Counter(
            Attempt.objects.filter(outcome__in=("completed", "failed")).values_list("operation", "outcome")
        )
        of_operation = Counter(pk for pk, _ in ends.elements())
        statuses = dict(Operation.objects.values_list("pk", "status"))
        lost = 0
        for pk in names:
            outcome = "failed" if pk in self._failed else "completed"
            lost += (statuses[pk], ends[pk, outcome], of_operation[pk]) != (outcome.upper(), 1, 1)
        took: defaultdict[int, list[float]] = defaultdict(list)
        for pk, job in names.items():
            took[job.user].append(self._ended[pk] - job.submitted)
        ratios = [_mean(took[user]) / _mean(self._private_times(user)) for user in sorted(took)]
        return Outcomes(
            len(names), lost, self._doubled, ratios, self._losses, len(self._failed), longest_queue
        )

    def _private_times(self, user: int) -> list[float]:
        """Return the times from submission to end of the user's jobs on workers of its own: its share of all."""
        times: list[float] = []
        for needs_gpu in (False, True):
            kind = self.workers // GPU_EVERY if needs_gpu else self.workers - self.workers // GPU_EVERY
            free = [0.0] * max(1, round(kind / self.users))
            for job in self._plan:
                if job.user == user and job.needs_gpu is needs_gpu:
                    end = max(heapq.heappop(free), job.submitted) + job.duration
                    heapq.heappush(free, end)
                    times.append(end - job.submitted)
        return times


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
