"""Stores a study: once per idempotency key, with its data fixed."""

from django.db import IntegrityError, transaction

from access.problems import Invalid
from operations import quotas
from operations.insertion import Submitter
from operations.models import StoredFile
from operations.submission import find_same_request
from studies.channel import notify_studies
from studies.identity import data_of
from studies.lifecycle import record
from studies.models import Study, StudyFile
from studies.planning import Plan, make_plan
from studies.request import StudyRequest
from studies.states import StudyStatus
from studies.tpe_window import window_of


def find_repeat(by: Submitter) -> Study | None:
    """Return the study that the same request created. Raises Invalid if its key was used for another request."""
    return find_same_request(Study.objects.all(), by)


def create(request: StudyRequest, by: Submitter) -> tuple[Study, Plan]:
    """Plan and store a study. Raises Invalid."""
    quotas.require_priority(request.priority, by.user)
    plan = make_plan(request)
    try:
        return _store(request, plan, by), plan
    except IntegrityError:
        # The same request arrived twice at once, and the other one was stored first.
        earlier = find_repeat(by)
        if earlier is None:
            raise
        return earlier, plan


@transaction.atomic
def _store(request: StudyRequest, plan: Plan, by: Submitter) -> Study:
    bound = plan.bound
    study = Study.objects.create(
        name=bound.study.name,
        kind=bound.kind,
        spec=bound.study.model_dump_spec(),
        spec_sha256=plan.spec_sha256,
        study_yaml=request.study_yaml,
        strategy_yaml=request.strategy_yaml,
        data=data_of(plan.inputs),
        start_date=plan.dates.start_date,
        end_date=plan.dates.end_date,
        base_timeframe=bound.strategy.base_timeframe,
        model_id=request.model,
        seed=bound.study.search.seed,
        window=window_of(bound),
        priority=request.priority,
        parallel=bound.study.budget.parallel,
        hours=bound.study.budget.hours,
        cpu_hours=bound.study.budget.cpu_hours,
        planned=bound.trials,
        counted_before=plan.counted_before,
        created_by=by.user,
        idempotency_key=by.idempotency_key,
        request_sha256=by.request_sha256,
    )
    _keep_files(study, plan.inputs)
    record(study, by.actor, "created", target=StudyStatus.RUNNING)
    notify_studies()
    return study


def _keep_files(study: Study, inputs: dict[str, str]) -> None:
    """Refer to the bars, locked against the cleanup until the transaction ends. Raises Invalid."""
    files = StoredFile.objects.select_for_update().filter(pk__in=set(inputs.values())).order_by("pk")
    if len(files) < len(set(inputs.values())):
        raise Invalid("The market data were replaced in the meantime; try again.")
    StudyFile.objects.bulk_create(
        StudyFile(study=study, name=name, file_id=sha256) for name, sha256 in inputs.items()
    )
