"""Takes the results of a batch, in the transaction that completes its operation: each trial exactly once."""

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import F
from pydantic import ValidationError

from operations.kind import ResultUnusable
from operations.models import Operation
from studies.channel import notify_studies
from studies.models import Study, StudyBatch, TrialState
from worker_agent.validation_messages import first_problem
from workers.studies.messages import BatchResult

MAX_ERROR = 500

# The trials exist. As conflicts they are found by their key; the plan of a join would depend on statistics that are older.
_STORE = """
    INSERT INTO studies_studytrial AS trial (study_id, number, state, parameters, value, scores, rung, cpu_ms, error)
    SELECT %(study)s, number, state, '{}', value, scores, %(rung)s, cpu_ms, error
      FROM jsonb_to_recordset(%(rows)s::jsonb)
           AS new(number int, state text, value float8, scores jsonb, cpu_ms float8, error text)
        ON CONFLICT (study_id, number) DO UPDATE
       SET state = excluded.state, value = excluded.value, scores = excluded.scores, error = excluded.error,
           cpu_ms = trial.cpu_ms + excluded.cpu_ms, rung = excluded.rung
     WHERE trial.state = 'running' AND trial.rung <= excluded.rung
"""


def take_results(operation: Operation, report_result: dict[str, Any] | None) -> None:
    """Store the results of the operation's batch and close it. Raises ResultUnusable."""
    batch = StudyBatch.objects.filter(operation=operation, is_open=True).first()
    if batch is None:
        raise ResultUnusable("its trials belong to other operations now")
    try:
        result = BatchResult.model_validate(report_result or {})
    except ValidationError as error:
        raise ResultUnusable(f"result.{first_problem(error)}") from error
    # The study first: `run_studies` holds its row while it changes batches.
    study = Study.objects.select_for_update(of=("self",)).get(pk=batch.study_id)
    if result.number != list(batch.trials.values_list("number", flat=True)):
        raise ResultUnusable(f"its trials are not exactly those of {batch}")
    if not StudyBatch.objects.filter(pk=batch.pk, is_open=True).update(is_open=False):
        raise ResultUnusable("its trials belong to other operations now")
    _store_trials(study, batch, result)
    _count(study, batch, result)
    notify_studies()


def _store_trials(study: Study, batch: StudyBatch, result: BatchResult) -> None:
    # One value: thousands of elements of arrays would be quoted one by one.
    rows = json.dumps(_rows(result, states_of(study, batch, result)))
    with connection.cursor() as cursor:
        cursor.execute(_STORE, {"study": study.pk, "rung": batch.rung, "rows": rows})
        if cursor.rowcount != len(result.number):
            raise ResultUnusable(f"{len(result.number) - cursor.rowcount} of its trials have results already")


def _rows(result: BatchResult, states: Sequence[str]) -> list[dict[str, Any]]:
    """Return the columns of each trial by name."""
    columns = zip(result.number, states, result.value, result.cpu_ms, strict=True)
    scores = [dict(zip(result.scores, row, strict=True)) for row in zip(*result.scores.values(), strict=True)]
    return [
        {
            "number": number,
            "state": state,
            "value": value,
            "scores": own,
            "cpu_ms": cpu_ms,
            "error": (result.errors.get(str(number)) or "the trial failed")[:MAX_ERROR]
            if state == TrialState.FAILED
            else "",
        }
        for (number, state, value, cpu_ms), own in zip(
            columns, scores or [{}] * len(result.number), strict=True
        )
    ]


def states_of(study: Study, batch: StudyBatch, result: BatchResult) -> list[str]:
    """Return the states of the batch's trials; those that a rung stopped run until the study has decided which continue.

    After the last rung trainings go on to their end, whatever a worker reports.
    """
    waits_at_rung = 0 < batch.rung <= len((study.spec["stop_early"] or {}).get("rungs", ()))
    return [
        TrialState.RUNNING.value if waits_at_rung and state.value == TrialState.STOPPED_EARLY else state.value
        for state in result.state
    ]


def _count(study: Study, batch: StudyBatch, result: BatchResult) -> None:
    """Update the counters and the best trial: of equal ones the first, in whatever order batches arrive."""
    states = states_of(study, batch, result)
    changes: dict[str, Any] = {
        name: F(name) + states.count(name) for name in ("completed", "failed", "stopped_early")
    }
    best = best_of(study, result)
    if best is not None:
        changes |= {"best_number": best[0], "best_value": best[1]}
    Study.objects.filter(pk=study.pk).update(cpu_ms=F("cpu_ms") + sum(result.cpu_ms), **changes)


def best_of(study: Study, result: BatchResult) -> tuple[int, float] | None:
    """Return number and value of the best trial of the study and the result together."""
    candidates: list[tuple[int, float]] = [
        (number, value)
        for number, state, value in zip(result.number, result.state, result.value, strict=True)
        if value is not None and state.value == TrialState.COMPLETED
    ]
    if study.best_number is not None and study.best_value is not None:
        candidates.append((study.best_number, study.best_value))
    return better(candidates, maximizes=study.maximizes)


def better(candidates: Sequence[tuple[int, float]], *, maximizes: bool) -> tuple[int, float] | None:
    """Return the candidate with the best value, of equal ones the lowest number."""
    sign = -1.0 if maximizes else 1.0
    return min(candidates, key=lambda candidate: (sign * candidate[1], candidate[0]), default=None)


def fail_trial(study: Study, batch: StudyBatch, number: int, message: str) -> None:
    """Close a batch of one trial that no worker survives: the trial is failed. The study's row is locked."""
    trials = study.trials.filter(number=number, state=TrialState.RUNNING)
    if trials.update(state=TrialState.FAILED, value=None, error=message[:MAX_ERROR]) != 1:
        raise AssertionError(f"trial {number} is not running")
    StudyBatch.objects.filter(pk=batch.pk, is_open=True).update(is_open=False)
    Study.objects.filter(pk=study.pk).update(failed=F("failed") + 1)
