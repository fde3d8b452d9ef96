"""Two imports of the same bars at the same time: the one that was submitted last stays, however they end."""

from collections.abc import Callable

import pytest
from django.test import Client

from operations import artifacts, attempts, interruptions, interventions, reports, submission
from operations.dispatching import claims
from operations.dispatching.planning import Planner
from operations.insertion import Submitter
from operations.models import Event, MarketData, Operation, StoredFile
from operations.requests import Submission
from operations.states import Status
from tests.factories import WorkerFactory
from tests.interleaving import act_before_commit_of
from tests.operations.test_api import ME
from worker_agent.protocol import ErrorClass, OperationError, Outcome, Report

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("ktrdr_site.urls")]

End = Callable[[], object]


def submit(symbol: str = "AAPL") -> Operation:
    parameters = {"symbol": symbol, "timeframe": "1d", "filename": "x.csv"}
    return submission.submit(Submission("data_import", parameters), Submitter(None, ME))


def start(*operations: Operation) -> list[StoredFile]:
    """Start the imports on workers; return the bars that each will bring."""
    for _ in operations:
        WorkerFactory(worker_type="backtesting", announced=["data_import"])
    for claim in claims.claim_some(Planner().make_plan(), ME, at_most=len(operations)):
        assert attempts.accept(claim.operation_id, claim.attempt, ME)
    return [artifacts.put([operation.pk.encode()]) for operation in operations]


def complete(operation: Operation, file: StoredFile) -> None:
    operation.refresh_from_db()
    result = {
        "symbol": operation.parameters["symbol"], "timeframe": "1d", "rows": 2,
        "start": "2000-01-03T00:00Z", "end": "2013-01-02T00:00Z",
        "quality": {"gaps": 1, "notes": ["don't %s"]},
    }  # fmt: skip
    _report(
        operation,
        Report(
            attempt=operation.attempt,
            instance_id="any",
            outcome=Outcome.COMPLETED,
            result=result,
            artifacts=[{"name": "bars.parquet", "sha256": file.sha256, "size": file.size}],
        ),
    )


def fail(operation: Operation) -> None:
    operation.refresh_from_db()
    error = OperationError(error_class=ErrorClass.JOB, message="killed")
    _report(
        operation,
        Report(attempt=operation.attempt, instance_id="any", outcome=Outcome.FAILED, error=error),
    )


def _report(operation: Operation, report: Report) -> None:
    assert reports.apply(operation.pk, operation.worker_id, report) is reports.ReportStatus.APPLIED
    operation.refresh_from_db()


def in_order(first: End, second: End) -> None:
    first()
    second()


ENDINGS = {"one after the other": in_order, "at the same moment": act_before_commit_of}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("later_ends_first", [True, False])
def test_the_import_that_was_submitted_last_stays(
    end: Callable[[End, End], object], later_ends_first: bool, staff: object, client: Client
) -> None:
    earlier, later = submit(), submit()
    files = start(earlier, later)
    ends: list[End] = [lambda: complete(earlier, files[0]), lambda: complete(later, files[1])]
    end(*(reversed(ends) if later_ends_first else ends))
    row = MarketData.objects.get()
    assert (row.imported_by, row.file, row.rows) == (later, files[1], 2)
    assert row.quality == {"gaps": 1, "notes": ["don't %s"]}
    assert {earlier.status, later.status} == {Status.COMPLETED}
    superseded = Event.objects.filter(kind="superseded")
    assert [event.operation for event in superseded] == [earlier] * later_ends_first
    client.force_login(staff)  # type: ignore[arg-type]
    sentence = "These bars are not the current ones of AAPL 1d"
    assert sentence in client.get(f"/dashboard/operations/{earlier.pk}").content.decode()
    assert sentence not in client.get(f"/dashboard/operations/{later.pk}").content.decode()


def test_an_import_that_a_person_retries_was_submitted_again() -> None:
    earlier, later = submit(), submit()
    files = start(earlier, later)
    fail(earlier)
    complete(later, files[1])
    interventions.retry(earlier.pk, ME)
    start(earlier)
    complete(earlier, files[0])
    assert MarketData.objects.get().imported_by == earlier


def test_a_new_attempt_of_the_backend_is_the_same_submission() -> None:
    earlier, later = submit(), submit()
    files = start(earlier, later)
    earlier.refresh_from_db()
    assert interruptions.mark_lost(earlier.pk, 1, ME, "gone")
    complete(later, files[1])
    Operation.objects.update(not_before=None)
    start(earlier)
    complete(earlier, files[0])
    assert MarketData.objects.get().imported_by == later


def test_imports_of_other_bars_and_after_removed_operations_always_count() -> None:
    earlier, other, later = submit(), submit("IBM"), submit()
    files = start(earlier, other, later)
    complete(later, files[2])
    complete(other, files[1])
    assert MarketData.objects.count() == 2
    MarketData.objects.filter(symbol="AAPL").update(imported_by=None)
    complete(earlier, files[0])
    assert MarketData.objects.get(symbol="AAPL").imported_by == earlier
