"""tpe proposes the same trials whoever runs them, in whatever order, and after every restart of `run_studies`."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from studies.models import Study, StudyTrial
from studies.rounds import Leader
from tests.studies.lab import STUDY, claim, finish, points_of, work

TPE = STUDY.replace("method: random", "method: tpe") + "budget: {parallel: 1}\n"


def create(api: APIClient, body: dict[str, Any], name: str) -> Study:
    study_yaml = TPE.replace("name: thresholds", f"name: {name}")
    response = api.post("/studies", {**body, "study_yaml": study_yaml})
    assert response.status_code == 202, response.content
    return Study.objects.get(study_id=response.json()["study_id"])


def test_tpe_proposes_the_same_trials_in_any_order_and_after_restarts(
    api: APIClient, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_trials_per_batch(), "decisions", 4)
    calm = create(api, body, "calm")
    Study.objects.update(window=12)
    first = Leader()
    work(first)
    first.stop()
    rough = create(api, body, "rough")
    Study.objects.filter(pk=rough.pk).update(window=12, parallel=3)
    held: list[Any] = []
    for _ in range(100):
        leader = Leader()  # a new process, which rebuilds its state from rows
        leader.tick()
        leader.stop()
        if (claimed := claim()) is not None:
            held.append(claimed)
        if held and (claimed is None or len(held) == 2):
            finish(*held.pop())  # the newest first
        elif claimed is None:
            break
    rough.refresh_from_db()
    assert rough.status == "COMPLETED"
    assert points_of(calm) == points_of(rough)


def test_tpe_finds_better_points_than_its_first_ones(api: APIClient, body: dict[str, Any]) -> None:
    study = create(api, body, "search")
    Study.objects.update(window=8)
    work(Leader())
    values = list(StudyTrial.objects.filter(study=study).order_by("number").values_list("value", flat=True))
    first, last = values[:15], values[-15:]
    assert sum(value or 0 for value in last) > sum(value or 0 for value in first)


def _trials_per_batch() -> dict[str, int]:
    from studies import tpe_window

    return tpe_window.TRIALS_PER_BATCH
