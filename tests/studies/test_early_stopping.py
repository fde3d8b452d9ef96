"""Studies of trainings: early stopping from rung to rung, and the finalists before the report."""

from collections import Counter
from typing import Any

import pytest
from rest_framework.test import APIClient

from operations.models import Artifact, Operation
from studies.models import Study, StudyBatch
from studies.rounds import Leader
from tests.studies.lab import STUDY, claim, fail, finish, work
from workers.studies.messages import Trial

Body = dict[str, Any]
TRAINING = (
    STUDY.replace("    /decisions/confidence_threshold: {range: [0.3, 0.9]}\n", "    /training/labels/horizon: {range: [2, 9]}\n")
    .replace("trials: 40", "trials: 11")
)  # fmt: skip
RUNGS = TRAINING + "stop_early: {rungs: [1, 3], keep: 0.34}\n"
KEPT = (11, 4, 2)
"""Trials that reach the first rung, the second one, and the end."""


@pytest.fixture
def training(body: Body) -> Body:
    return {"strategy_yaml": body["strategy_yaml"], "study_yaml": RUNGS}


def value_of(trial: Trial) -> tuple[str, float | None]:
    """Return a value that differs between the first eleven trials, of which the last has none."""
    return "completed", (7.0 * trial.number) % 11 if trial.number != 10 else None


def create(api: APIClient, body: Body) -> Study:
    answer = api.post("/studies", body)
    assert answer.status_code == 202, answer.content
    return Study.objects.get(study_id=answer.json()["study_id"])


def rows(study: Study) -> list[tuple[Any, ...]]:
    return list(study.trials.order_by("number").values_list("number", "state", "rung", "value"))


def test_the_best_third_continues_at_each_rung(api: APIClient, training: Body) -> None:
    study = create(api, training)
    work(Leader(), value_of)
    study.refresh_from_db()
    assert (study.status, study.completed, study.stopped_early) == ("COMPLETED", KEPT[2], KEPT[0] - KEPT[2])
    ranked = sorted((value or -1.0, number) for number, _, _, value in rows(study))[::-1]
    best = [number for _, number in ranked]
    state_of = {number: (state, rung) for number, state, rung, _ in rows(study)}
    assert [state_of[number] for number in best] == [
        *[("completed", 3)] * KEPT[2],
        *[("stopped_early", 2)] * (KEPT[1] - KEPT[2]),
        *[("stopped_early", 1)] * (KEPT[0] - KEPT[1]),
    ]
    assert study.best_number == best[0]
    later = Operation.objects.filter(parameters__rung=2).first()
    assert later is not None
    inputs = later.artifacts.filter(role=Artifact.Role.INPUT).values_list("name", flat=True)
    assert any(name.endswith("/rung.zip") for name in inputs), (
        "the survivors continue from files of the first rung"
    )


def test_what_continues_does_not_depend_on_who_runs_it(api: APIClient, training: Body) -> None:
    """Three batches at a time that end in reverse order, some of whose jobs die."""
    calm, leader = create(api, training), Leader()
    work(leader, value_of)
    rough = create(api, {**training, "study_yaml": RUNGS + "budget: {parallel: 3}\n"})
    held: list[tuple[Operation, str]] = []
    for turn in range(300):
        leader.tick()
        if (claimed := claim()) is not None:
            held.append(claimed)
        if held and (len(held) > 1 or claimed is None):
            operation, secret = held.pop()
            if turn % 4 == 1 and operation.operation_type == "study_training_batch":
                fail(operation, secret)
            else:
                finish(operation, secret, value_of)
    rough.refresh_from_db()
    assert rough.status == "COMPLETED"
    assert rows(rough) == rows(calm)


def test_a_spent_budget_stops_what_waits_at_a_rung(api: APIClient, training: Body) -> None:
    study = create(api, {**training, "study_yaml": RUNGS + "budget: {cpu_hours: 0.000001}\n"})
    work(Leader(), value_of)
    states = Counter(state for _, state, _, _ in rows(study))
    study.refresh_from_db()
    assert study.status == "COMPLETED"
    assert states.keys() == {"stopped_early"}
    assert study.best_number is None


def test_an_extension_adds_trials_that_compete_at_their_own_rung(api: APIClient, training: Body) -> None:
    study, leader = create(api, training), Leader()
    work(leader, value_of)
    before = [row[:2] for row in rows(study)]
    assert api.post(f"/studies/{study.study_id}/extend", {"trials": 6}).status_code == 202
    work(leader, value_of)
    study.refresh_from_db()
    assert [row[:2] for row in rows(study)][:11] == before
    assert study.ended == study.planned == 17
    assert study.holdout_looks == 2, "the second report looks at the holdout again"


def test_each_finalist_is_tested_by_an_operation_of_its_own(api: APIClient, training: Body) -> None:
    study = create(api, {**training, "study_yaml": TRAINING + "finalists: {count: 3}\n"})
    work(Leader(), value_of)
    tested = Operation.objects.filter(operation_type="study_finalist")
    best = study.trials.filter(value__isnull=False).order_by("-value")[:3]
    assert {row.parameters["trial"]["number"] for row in tested} == {trial.number for trial in best}
    assert all(row.parameters["holdout"]["start_date"] == "2009-01-01" for row in tested)
    report = Operation.objects.get(operation_type="study_report")
    assert len(report.parameters["finalists"]) == 3
    detail = api.get(f"/studies/{study.study_id}/trials/{best[0].number}").json()
    evaluated_by = Operation.objects.get(pk=detail["operation_id"])
    assert evaluated_by.operation_type == "study_training_batch"


def test_a_finalist_that_cannot_be_tested_keeps_its_result(api: APIClient, training: Body) -> None:
    study = create(api, {**training, "study_yaml": TRAINING + "finalists: {count: 2}\n"})
    leader = Leader()
    for _ in range(100):
        is_more = leader.tick()
        if (claimed := claim()) is None:
            if not is_more:
                break
        elif claimed[0].operation_type == "study_finalist":
            fail(*claimed)
        else:
            finish(*claimed, value_of)
    study.refresh_from_db()
    assert (study.status, study.completed, study.failed) == ("COMPLETED", 11, 0)
    assert Operation.objects.get(operation_type="study_report").parameters["finalists"] == []
    assert not StudyBatch.objects.filter(study=study, is_open=True).exists()


def test_rules_and_decisions_have_nothing_to_stop_early(api: APIClient, body: Body) -> None:
    request = {**body, "study_yaml": STUDY + "stop_early: {rungs: [1]}\nrepeat: {seeds: 2}\n"}
    errors = api.post("/studies/validate", request).json()["errors"]
    assert [error["pointer"] for error in errors] == ["/study_yaml/stop_early", "/study_yaml/repeat"]
    assert "nothing to stop" in errors[0]["detail"]
