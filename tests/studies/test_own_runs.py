"""A person's own run beside a study that fills all workers."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from operations.models import Operation
from registry.models import Worker
from studies.rounds import Leader
from tests.factories import OperationFactory, WorkerFactory
from tests.studies.lab import STUDY, TYPES, claim, finish


@pytest.mark.parametrize("is_own_study", [True, False])
def test_the_next_free_worker_takes_a_persons_backtest_before_a_batch(
    api: APIClient, person: User, body: dict[str, Any], *, is_own_study: bool
) -> None:
    """A batch lasts 10 s, so a backtest that is claimed before the next batch begins within 15 s."""
    Worker.objects.all().delete()
    for _ in range(2):
        WorkerFactory(worker_type="backtesting", announced=(*TYPES, "backtesting"))
    # Without `parallel` a study takes half of the workers.
    body["study_yaml"] = STUDY.replace("trials: 40", "trials: 400") + "budget: {parallel: 2}\n"
    assert api.post("/studies", body).status_code == 202
    leader = Leader()
    leader.tick()
    measuring = claim()
    assert measuring is not None
    finish(*measuring)  # the first batch measures; the next ones fill the workers
    running = []
    for _ in range(2):
        leader.tick()
        running.append(claim())
    assert None not in running
    assert claim() is None, "both workers have a batch"

    owner = person if is_own_study else User.objects.create_user("somebody else")
    own = OperationFactory(operation_type="backtesting", created_by=owner)
    batch = running[0]
    assert batch is not None
    finish(*batch)
    leader.tick()
    assert Operation.objects.filter(status="PENDING", operation_type="study_batch").exists()
    claimed = claim()
    assert claimed is not None
    assert claimed[0].pk == own.pk
