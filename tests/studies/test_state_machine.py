"""Studies under every order of events that Hypothesis can think of, on a real PostgreSQL.

Workers are simulated; `run_studies`, operations, reports and the database are the real ones. After each step no trial is lost
or doubled; and once the faults stop, every live study comes to its end.
"""

import os
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from operations import interventions
from operations import lifecycle as operation_lifecycle
from operations.insertion import Submitter
from operations.models import Operation
from studies import creation, lifecycle
from studies.models import Study, StudyBatch, TrialState
from studies.request import StudyRequest
from studies.rounds import Leader
from studies.states import LIVE
from tests.studies.lab import (
    ME,
    STRATEGY,
    STUDY,
    add_bars,
    add_model,
    add_workers,
    claim,
    evaluate,
    fail,
    finish,
    value_of,
)
from worker_agent.protocol import ErrorClass

EXAMPLES = int(os.environ.get("KTRDR_TEST_EXAMPLES", "5"))
ERRORS = st.sampled_from([ErrorClass.OUT_OF_MEMORY, ErrorClass.JOB, ErrorClass.LOST, ErrorClass.INVALID])


class Studies(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.leader = Leader()
        self.held: list[tuple[Operation, str]] = []

    def teardown(self) -> None:
        try:
            self.faults_stop()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @initialize()
    def create_lab(self) -> None:
        self.user = User.objects.create_user("machine")
        self.user.groups.add(Group.objects.get(name="operator"))
        add_bars()
        add_workers(3)
        self.model = add_model().pk
        self.create(20, 2)

    @rule(trials=st.integers(1, 25), parallel=st.integers(1, 4))
    def create(self, trials: int, parallel: int) -> None:
        if Study.objects.count() >= 3:
            return
        study_yaml = STUDY.replace("trials: 40", f"trials: {trials}") + f"budget: {{parallel: {parallel}}}\n"
        request = StudyRequest(strategy_yaml=STRATEGY, study_yaml=study_yaml, model=self.model)
        creation.create(request, Submitter(user=self.user))

    @rule()
    def tick(self) -> None:
        self.leader.tick()

    @rule()
    def another_process_leads(self) -> None:
        self.leader.stop()
        self.leader = Leader()
        self.leader.tick()

    @rule()
    def claim(self) -> None:
        if (claimed := claim()) is not None:
            self.held.append(claimed)

    @rule(position=st.integers(0, 3), failing=st.booleans())
    def finish(self, position: int, failing: bool) -> None:
        if self.held:
            operation, secret = self.held.pop(position % len(self.held))
            finish(operation, secret, _fail_some if failing else evaluate)

    @rule(position=st.integers(0, 3), error_class=ERRORS)
    def die(self, position: int, error_class: ErrorClass) -> None:
        if self.held:
            fail(*self.held.pop(position % len(self.held)), error_class)

    @rule()
    def a_person_cancels_a_batch(self) -> None:
        batch = Operation.objects.filter(operation_type="study_batch", status="PENDING").first()
        if batch is not None:
            interventions.cancel(batch.pk, ME)

    @rule(act=st.sampled_from(["pause", "resume", "cancel", "extend"]), position=st.integers(0, 2))
    def change(self, act: str, position: int) -> None:
        studies = list(Study.objects.order_by("pk"))
        study = studies[position % len(studies)]
        try:
            match act:
                case "extend":
                    lifecycle.extend(study.study_id, ME, trials=5)
                case _:
                    getattr(lifecycle, act)(study.study_id, ME)
        except lifecycle.WrongState:
            return

    @rule()
    def a_failed_batch_is_retried_by_a_person(self) -> None:
        failed = Operation.objects.filter(operation_type="study_batch", status="FAILED").first()
        if failed is not None:
            try:
                interventions.retry(failed.pk, ME)
            except operation_lifecycle.WrongState:
                return

    @invariant()
    def no_trial_is_lost_or_doubled(self) -> None:
        for study in Study.objects.all():
            numbers = list(study.trials.order_by("number").values_list("number", flat=True))
            assert numbers == list(range(study.proposed))
            batched = sorted(
                number for batch in study.batches.all() for number in range(batch.first, batch.last + 1)
            )
            assert batched == numbers, "every trial belongs to exactly one batch"
            states = Counter(study.trials.values_list("state", flat=True))
            counted = (study.completed, study.failed, study.stopped_early)
            assert counted == (states["completed"], states["failed"], states["stopped_early"])

    @invariant()
    def results_are_those_of_their_points(self) -> None:
        for trial in _completed():
            assert trial.value == value_of(trial.parameters)

    @invariant()
    def the_best_trial_is_the_best(self) -> None:
        for study in Study.objects.all():
            rows = study.trials.filter(state=TrialState.COMPLETED).order_by("-value", "number")
            best = rows.values_list("number", "value").first()
            assert (study.best_number, study.best_value) == (best or (None, None))

    def faults_stop(self) -> None:
        """Everything that lives ends, without anybody's help except that paused studies are resumed."""
        for _ in range(400):
            for study in Study.objects.filter(status="PAUSED"):
                lifecycle.resume(study.study_id, ME)
            is_more = self.leader.tick()
            claimed = self.held.pop() if self.held else claim()
            if claimed is not None:
                finish(*claimed)
            elif not is_more and not Study.objects.filter(status__in=LIVE).exists():
                break
        self.no_trial_is_lost_or_doubled()
        assert not Study.objects.filter(status__in=LIVE).exists(), "a study never ended"
        for study in Study.objects.filter(status="COMPLETED"):
            assert study.ended == study.planned == study.proposed
            assert not StudyBatch.objects.filter(study=study, is_open=True).exists()


def _completed() -> Any:
    from studies.models import StudyTrial

    return StudyTrial.objects.filter(state=TrialState.COMPLETED)


def _fail_some(trial: Any) -> tuple[str, float | None]:
    return ("failed", None) if trial.number % 3 == 0 else evaluate(trial)


@pytest.mark.django_db
def test_no_trial_is_lost_or_doubled_in_any_order_of_events() -> None:
    run_state_machine_as_test(
        Studies,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=20,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
