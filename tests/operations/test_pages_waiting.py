"""The page of an operation that waits again contains what happened to it, and nothing of the attempt that ended."""

import pytest
from django.test import Client
from django.utils import timezone

from operations.models import Checkpoint, Operation
from tests.factories import AttemptFactory, OperationFactory
from tests.operations.page_text import read


@pytest.fixture
def requeued() -> Operation:
    """An operation whose first attempt had made half of the work."""
    return OperationFactory(
        attempt=1,
        worker_id="worker-1",
        started_at=timezone.now(),
        progress={"percentage": 52, "eta_seconds": 840, "current_step": "epoch 52"},
    )


def page_of(client: Client, operation: Operation) -> str:
    response = client.get(f"/dashboard/operations/{operation.pk}/live")
    assert response.status_code == 200
    return read(response.content.decode()).text


@pytest.mark.parametrize("outcome", ["lost", "interrupted"])
@pytest.mark.parametrize("step", [None, 40])
def test_it_shows_how_the_attempt_ended_and_where_the_next_one_starts(
    client: Client, staff: object, requeued: Operation, outcome: str, step: int | None
) -> None:
    now = timezone.now()
    AttemptFactory(
        operation=requeued,
        number=1,
        started_at=now,
        ended_at=now,
        outcome=outcome,
        error="worker-1: no response",
    )
    if step is not None:
        Checkpoint.objects.create(operation=requeued, attempt=1, step=step)
    client.force_login(staff)
    text = page_of(client, requeued)
    start = "resumes from step 40" if step else "starts from the beginning"
    assert f"Attempt 1 was {outcome} (worker-1: no response). The next attempt {start}." in text
    for stale in ("running for", "left", "on worker-1", "attempt 1", "epoch 52"):
        assert stale not in text, stale


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "rejected"])
def test_a_retry_by_a_person_or_a_rejection_needs_no_explanation(
    client: Client, staff: object, requeued: Operation, outcome: str
) -> None:
    now = timezone.now()
    AttemptFactory(operation=requeued, number=1, ended_at=now, outcome=outcome, error="no")
    client.force_login(staff)
    assert "The next attempt" not in page_of(client, requeued)
