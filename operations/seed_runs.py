"""Runs one submission with several seeds, and summarizes how much its figures depend on the seed."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from pydantic import BaseModel, ConfigDict, Field

from access.problems import Invalid, invalid
from operations.batches import find_repeated_batch, submit_batch
from operations.insertion import Submitter
from operations.models import Operation, SeedRun, SeedRunMember
from operations.presentation.numbers import words
from operations.registered_kinds import all_kinds, kind_of
from operations.runs.columns import METRICS
from operations.runs.recording import finite
from operations.seeds import Seeds, seeds_of
from operations.states import Status

MAX_SEEDS = 100
MAX_FIGURES = 50


class SeedRunRequest(BaseModel):
    """A submission and the number of seeds with which it runs."""

    model_config = ConfigDict(extra="forbid")

    seeds: int = Field(ge=2, le=MAX_SEEDS, description="number of operations, each with its own seed")
    operation: dict[str, Any] = Field(
        description="an item of `POST /operations/batch` that has a seed; the others are derived from it"
    )
    backtest: dict[str, Any] | None = Field(
        default=None,
        description="the body of `POST /backtests/start` without `model`: each trained model is then backtested",
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the seeds. `deviation` is that of a sample (n - 1); None for fewer than two values."""

    operation_type: str
    name: str
    title: str
    count: int
    minimum: float
    median: float
    mean: float
    maximum: float
    deviation: float | None

    def format(self, value: float | None) -> str:
        """Format one of the values as the table of runs does."""
        metric = METRICS.get(self.name) if kind_of(self.operation_type).is_run else None
        style = metric.format if metric else kind_of(self.operation_type).metric_style(self.name).format
        return "" if value is None else style(value)


def find_repeat(by: Submitter) -> SeedRun | None:
    """Return the seed run that the same request created. Raises Invalid if its key was used for another request."""
    operations = find_repeated_batch(by)
    return SeedRun.objects.get(members__operation=operations[0]) if operations else None


def create(request: SeedRunRequest, by: Submitter) -> SeedRun:
    """Submit the operations in one batch, all or none. Raises Invalid with pointers into the request, Busy."""
    of_type = _require_seeds(str(request.operation.get("operation_type")), request.seeds)
    seeds = of_type.derive(_first_seed(request.operation, of_type.default), request.seeds)
    items = [_with_seed(request.operation, seed) for seed in seeds]
    if request.backtest is not None:
        items += [_backtest(request.backtest, index) for index in range(request.seeds)]
    with transaction.atomic():
        try:
            operations = submit_batch(items, by)
        except Invalid as problem:
            raise Invalid(str(problem.detail), errors=_locate(problem.errors, request.seeds)) from problem
        earlier = SeedRun.objects.filter(members__operation=operations[0]).first()
        return earlier or _store(operations, seeds, by)


def _store(operations: Sequence[Operation], seeds: Sequence[int], by: Submitter) -> SeedRun:
    seed_run = SeedRun.objects.create(created_by=by.user)
    SeedRunMember.objects.bulk_create(
        SeedRunMember(seed_run=seed_run, operation=operation, seed=seeds[index % len(seeds)])
        for index, operation in enumerate(operations)
    )
    return seed_run


def _require_seeds(operation_type: str, number: int) -> Seeds:
    """Return the seeds of a type. Raises Invalid if its results do not depend on one, or if there are too few."""
    seeds = seeds_of(operation_type)
    if seeds is None:
        raise invalid(
            "/operation/operation_type", f"Operations of type {operation_type[:80]} do not have a seed."
        )
    if seeds.available < number:
        text = f"The seeds of type {operation_type[:80]} are from {seeds.lowest} to {seeds.highest}, too few for {number} operations."
        raise invalid("/seeds", text)
    return seeds


def _first_seed(item: Mapping[str, Any], default: Any) -> int:
    """Return the seed of the submission, or the default of its type. Raises Invalid."""
    holder = item.get("parameters") if isinstance(item.get("parameters"), dict) else item
    seed = (holder or {}).get("seed", default)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise invalid("/operation/seed", "The seed must be a whole number from 0 to 4294967295.")
    return seed


def _with_seed(item: Mapping[str, Any], seed: int) -> dict[str, Any]:
    parameters = item.get("parameters")
    if isinstance(parameters, dict) or kind_of(str(item["operation_type"])).request_model is None:
        return {**item, "parameters": {**(parameters or {}), "seed": seed}}
    return {**item, "seed": seed}


def _model_test() -> str:
    return next(kind.operation_type for kind in all_kinds() if kind.tests_models)


def _backtest(body: Mapping[str, Any], index: int) -> dict[str, Any]:
    return {**body, "operation_type": _model_test(), "model": f"#{index}", "after": [f"#{index}"]}


def _locate(errors: Sequence[Mapping[str, Any]], seeds: int) -> list[dict[str, Any]]:
    """Point into the request instead of the batch; the same error of several seeds is listed once."""
    located: dict[str, dict[str, Any]] = {}
    for error in errors:
        _, _, index, *rest = error["pointer"].split("/")
        part = "operation" if int(index) < seeds else "backtest"
        pointer = "/".join(["", part, *rest])
        located.setdefault(f"{pointer} {error['detail']}", {**error, "pointer": pointer})
    return list(located.values())


def members_of(seed_run: SeedRun) -> list[SeedRunMember]:
    """Return the members in the order of their submission, with their operations and figures."""
    return list(seed_run.members.select_related("operation", "operation__run_metrics"))


def spreads(members: Sequence[SeedRunMember]) -> list[Spread]:
    """Summarize each figure of the completed operations, by type."""
    values: dict[tuple[str, str], list[float]] = {}
    for member in members:
        operation = member.operation
        if operation.status == Status.COMPLETED:
            for name, value in _figures(operation).items():
                values.setdefault((operation.operation_type, name), []).append(value)
    return [_spread(operation_type, name, numbers) for (operation_type, name), numbers in values.items()]


def _figures(operation: Operation) -> dict[str, float]:
    """Return the headline metrics of a run; the numbers at the top of the result of another operation."""
    if kind_of(operation.operation_type).is_run:
        row = getattr(operation, "run_metrics", None)
        values = {name: getattr(row, name, None) for name in METRICS}
    else:
        values = dict(list((operation.result or {}).items())[:MAX_FIGURES])
    return {name: number for name, value in values.items() if (number := finite(value)) is not None}


def _spread(operation_type: str, name: str, numbers: Sequence[float]) -> Spread:
    is_run = kind_of(operation_type).is_run
    return Spread(
        operation_type,
        name,
        METRICS[name].title if is_run else words(name),
        len(numbers),
        min(numbers),
        # Exact: a sum of floats may be infinite.
        statistics.mean((statistics.median_low(numbers), statistics.median_high(numbers))),
        statistics.mean(numbers),
        max(numbers),
        _deviation(numbers),
    )


def _deviation(numbers: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample; None for fewer than two values, and if it is larger than a float."""
    if len(numbers) < 2:
        return None
    try:
        return statistics.stdev(numbers)
    except OverflowError:
        return None
