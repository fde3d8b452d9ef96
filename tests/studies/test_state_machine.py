"""Studies under every order of events that Hypothesis can think of, on a real PostgreSQL.

Workers are simulated; `run_studies`, operations, reports and the database are the real ones. After each step no trial is lost
or doubled; and once the faults stop, every live study comes to its end. The studies search decisions, propose by tpe, or train
with rungs and finalists; some have a budget that is spent before their end.
"""

import os
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from access.problems import Conflict, Invalid
from operations import interventions
from operations import lifecycle as operation_lifecycle
from operations.insertion import Submitter
from operations.models import Operation
from studies import creation, extension, holdout, lifecycle, promotion, rungs
from studies.finalists import finalists_of
from studies.models import FINALIST_RUNG, Study, StudyBatch, StudyTrial, TrialState
from studies.request import ExtendRequest, StudyRequest
from studies.rounds import Leader
from studies.states import LIVE
from tests.rolled_back import RolledBackMachine
from tests.studies.lab import (
    ME,
    STRATEGY,
    STUDY,
    TYPES,
    add_bars,
    add_model,
    add_workers,
    claim,
    fail,
    finish,
    value_of,
)
from worker_agent.protocol import ErrorClass
from workers.studies.messages import Trial

EXAMPLES = int(os.environ.get("KTRDR_TEST_EXAMPLES", "5"))
SEARCHED = "    /decisions/confidence_threshold: {range: [0.3, 0.9]}\n"
TRAINED = STUDY.replace(SEARCHED, "    /training/labels/horizon: {range: [2, 40]}\n")
SHAPES = {
    "decisions": STUDY,
    "tpe": STUDY.replace("random", "tpe"),
    "training": TRAINED + "finalists: {count: 2}\n",
    "rungs": TRAINED + "stop_early: {rungs: [1, 3], keep: 0.34}\nfinalists: {count: 2}\n",
}
SPENT_AFTER = 10
"""Trials that a small budget allows: the lab reports 0.2 CPU seconds of each."""
BUDGET = f"cpu_hours: {SPENT_AFTER * 0.2 / 3600}"
ERRORS = st.sampled_from([ErrorClass.OUT_OF_MEMORY, ErrorClass.JOB, ErrorClass.LOST, ErrorClass.INVALID])


class Studies(RolledBackMachine):
    def __init__(self) -> None:
        super().__init__()
        self.leader = Leader()
        self.held: list[tuple[Operation, str]] = []

    @initialize()
    def create_lab(self) -> None:
        self.user = User.objects.create_user("machine")
        self.user.groups.add(Group.objects.get(name="operator"))
        add_bars()
        add_workers(3)
        self.model = add_model().pk
        self.create("rungs", 20, 2, is_limited=False)

    @rule(
        shape=st.sampled_from(sorted(SHAPES)),
        trials=st.integers(1, 25),
        parallel=st.integers(1, 4),
        is_limited=st.booleans(),
    )
    def create(self, shape: str, trials: int, parallel: int, is_limited: bool) -> None:
        if Study.objects.count() >= 3:
            return
        budget = f"parallel: {parallel}, hours: 5" + (f", {BUDGET}" if is_limited else "")
        study_yaml = SHAPES[shape].replace("trials: 40", f"trials: {trials}") + f"budget: {{{budget}}}\n"
        model = self.model if shape in ("decisions", "tpe") else None
        request = StudyRequest(strategy_yaml=STRATEGY, study_yaml=study_yaml, model=model)
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
            finish(operation, secret, _fail_some if failing else _evaluate)

    @rule(position=st.integers(0, 3), error_class=ERRORS)
    def die(self, position: int, error_class: ErrorClass) -> None:
        if self.held:
            fail(*self.held.pop(position % len(self.held)), error_class)

    @rule()
    def a_person_cancels_an_operation(self) -> None:
        operation = Operation.objects.filter(operation_type__in=TYPES, status="PENDING").first()
        if operation is not None:
            interventions.cancel(operation.pk, ME)

    @rule(act=st.sampled_from(["pause", "resume", "cancel"]), position=st.integers(0, 2))
    def change(self, act: str, position: int) -> None:
        try:
            getattr(lifecycle, act)(self.study_at(position).study_id, ME)
        except lifecycle.WrongState:
            return

    @rule(trials=st.integers(0, 6), hours=st.sampled_from([0.0, 1.0]), position=st.integers(0, 2))
    def extend(self, trials: int, hours: float, position: int) -> None:
        if not trials and not hours:
            return
        try:
            extension.extend(self.study_at(position).study_id, ME, ExtendRequest(trials=trials, hours=hours))
        except lifecycle.WrongState:
            return

    @rule(position=st.integers(0, 2))
    def look_again_at_the_holdout(self, position: int) -> None:
        study = self.study_at(position)
        try:
            looked = holdout.look_again(study.study_id, ME)
        except lifecycle.WrongState:
            return
        assert looked.holdout_looks == study.holdout_looks + 1, "each look is counted"

    @rule(number=st.none() | st.integers(0, 30), position=st.integers(0, 2))
    def promote(self, number: int | None, position: int) -> None:
        study = self.study_at(position)
        before = _rows_of(study)
        try:
            promoted, operations = promotion.promote(study, number, Submitter(user=self.user))
        except (Conflict, Invalid):
            return
        assert promoted == (study.best_number if number is None else number)
        assert operations[-1].operation_type == "backtesting"
        assert _rows_of(study) == before, "a promotion leaves the study as it is"

    @rule()
    def a_failed_batch_is_retried_by_a_person(self) -> None:
        failed = Operation.objects.filter(operation_type__in=TYPES, status="FAILED").first()
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
                number
                for batch in study.batches.filter(rung=rungs.first_rung(study))
                for number in range(batch.first, batch.last + 1)
            )
            assert batched == numbers, "every trial belongs to exactly one first batch"
            states = Counter(study.trials.values_list("state", flat=True))
            counted = (study.completed, study.failed, study.stopped_early)
            assert counted == (states["completed"], states["failed"], states["stopped_early"])

    @invariant()
    def results_are_those_of_their_points(self) -> None:
        for trial in _completed():
            assert trial.value == _value_of(trial.number, trial.parameters)

    @invariant()
    def a_trial_rises_from_rung_to_rung(self) -> None:
        for study in Study.objects.filter(spec__stop_early__rungs__isnull=False):
            closed = set(study.batches.filter(is_open=False).values_list("rung", "first", "last"))
            for number, state, rung in study.trials.values_list("number", "state", "rung"):
                is_reached = any(at == rung and first <= number <= last for at, first, last in closed)
                assert is_reached or rung == 0 or state == TrialState.FAILED
                assert state != TrialState.COMPLETED or rung == LAST_RUNG, (
                    "only the last rung completes a trial"
                )

    @invariant()
    def finalists_have_completed(self) -> None:
        tested = StudyBatch.objects.filter(rung=FINALIST_RUNG).values_list("study", "first", "last")
        completed = set(_completed().values_list("study", "number"))
        for study, first, last in tested:
            assert first == last
            assert (study, first) in completed

    @invariant()
    def events_are_one_chain(self) -> None:
        for study in Study.objects.all():
            steps = study.events.exclude(to_status="").order_by("pk").values_list("from_status", "to_status")
            status = ""
            for source, target in steps:
                assert source == status
                status = target
            assert status == study.status

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
                finish(*claimed, _evaluate)
            elif not is_more and not Study.objects.filter(status__in=LIVE).exists():
                break
        self.no_trial_is_lost_or_doubled()
        assert not Study.objects.filter(status__in=LIVE).exists(), "a study never ended"
        for study in Study.objects.filter(status="COMPLETED"):
            assert study.ended == study.proposed
            assert study.proposed == study.planned or (study.cpu_hours and study.ended >= SPENT_AFTER)
            assert not StudyBatch.objects.filter(study=study, is_open=True).exists()
            if study.kind == "training":
                tested = study.batches.filter(rung=FINALIST_RUNG).values_list("first", flat=True)
                assert {trial.number for trial in finalists_of(study)} <= set(tested)
            assert study.holdout_looks >= 1, "its report has looked at the holdout"

    def study_at(self, position: int) -> Study:
        studies = list(Study.objects.order_by("pk"))
        return studies[position % len(studies)]


LAST_RUNG = 3


def _completed() -> Any:
    return StudyTrial.objects.filter(state=TrialState.COMPLETED)


def _rows_of(study: Study) -> list[tuple[Any, ...]]:
    return list(study.trials.order_by("number").values_list("number", "state", "value", "rung"))


def _value_of(number: int, point: dict[str, Any]) -> float:
    """A pure function of the trial, the same at every rung."""
    if "/training/labels/horizon" in point:
        return float((7 * number) % 31 - point["/training/labels/horizon"])
    return value_of(point)


def _evaluate(trial: Trial) -> tuple[str, float | None]:
    return "completed", _value_of(trial.number, trial.point)


def _fail_some(trial: Trial) -> tuple[str, float | None]:
    return ("failed", None) if trial.number % 3 == 0 else _evaluate(trial)


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
