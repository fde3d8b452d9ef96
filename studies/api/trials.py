"""The trials of a study and its report."""

from typing import Any

from django.db.models import F, QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import Conflict, invalid
from operations.api.base import offset_page, offset_parameters
from operations.api.stored_responses import file_response
from operations.models import Artifact
from studies.api.base import study_or_404
from studies.models import Study, StudyTrial, TrialState
from studies.serializers import TrialSerializer
from studies.trial_details import details_of, operation_of
from workers.studies.messages import REPORT_FILE, TRIALS_FILE

ORDERS: dict[str, tuple[Any, ...]] = {
    "number": ("number",),
    "-number": ("-number",),
    "value": (F("value").asc(nulls_last=True), "number"),
    "-value": (F("value").desc(nulls_last=True), "number"),
    "cpu_ms": ("cpu_ms", "number"),
    "-cpu_ms": ("-cpu_ms", "number"),
}
PAGE, MAX_PAGE = 50, 5_000


class TrainingSerializer(serializers.Serializer[Any]):
    """One training of a trial: its learning curves by epoch, and how it ended."""

    fold = serializers.IntegerField()
    seed = serializers.IntegerField()
    metric = serializers.FloatField(allow_null=True)
    trades = serializers.FloatField()
    best_epoch = serializers.IntegerField()
    stopped = serializers.CharField()
    train_loss = serializers.ListField(child=serializers.FloatField())
    validation_loss = serializers.ListField(child=serializers.FloatField())


@extend_schema_serializer(component_name="StudyTrialDetail")
class TrialDetailSerializer(TrialSerializer):
    """A trial with its folds, its trainings, their log, and the operation that evaluated it."""

    operation_id = serializers.CharField(allow_null=True)
    folds = serializers.ListField(child=serializers.FloatField(allow_null=True))
    trainings = TrainingSerializer(many=True)
    log = serializers.ListField(child=serializers.CharField())

    class Meta(TrialSerializer.Meta):
        fields = (*TrialSerializer.Meta.fields, "operation_id", "folds", "trainings", "log")


def ordered_trials(study: Study, order: str, state: str = "") -> QuerySet[StudyTrial]:
    """Return the study's trials. Raises Invalid for an unknown order or state."""
    if order not in ORDERS:
        raise invalid("/order", f"order must be one of {', '.join(ORDERS)}.")
    if state and state not in TrialState.values:
        raise invalid("/state", f"state must be one of {', '.join(TrialState.values)}.")
    rows = study.trials.filter(state=state) if state else study.trials.all()
    return rows.order_by(*ORDERS[order])


class Trials(APIView):
    @extend_schema(
        operation_id="studies_trials_list",
        parameters=[
            OpenApiParameter("order", str, enum=list(ORDERS)),
            OpenApiParameter("state", str, enum=TrialState.values),
            *offset_parameters(PAGE, MAX_PAGE),
        ],
        responses=inline_serializer(
            "TrialPage",
            {"results": TrialSerializer(many=True), "next_offset": serializers.IntegerField(allow_null=True)},
        ),
    )
    def get(self, request: Request, study_id: str) -> Response:
        """List trials, by default the best ones first."""
        study = study_or_404(study_id)
        default = "-value" if study.maximizes else "value"
        order = request.query_params.get("order", default)
        rows = ordered_trials(study, order, request.query_params.get("state", ""))
        return offset_page(request, rows, _serialize, page=PAGE, max_page=MAX_PAGE)


def _serialize(trials: list[StudyTrial]) -> Any:
    return TrialSerializer(trials, many=True).data


class TrialDetail(APIView):
    @extend_schema(responses=TrialDetailSerializer)
    def get(self, request: Request, study_id: str, number: int) -> Response:
        trial = study_or_404(study_id).trials.filter(number=number).first() if number < 2**31 else None
        if trial is None:
            raise NotFound(f"The study has no trial {number}.")
        operation_id = operation_of(trial)
        details = {"operation_id": operation_id, **details_of(trial, operation_id)}
        return Response({**TrialSerializer(trial).data, **details})


class TrialsFile(APIView):
    @extend_schema(
        operation_id="studies_trials_file_retrieve",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, study_id: str) -> HttpResponseBase:
        """All trials as Parquet, once the study has its report. 409 before."""
        return _report_file(study_or_404(study_id), TRIALS_FILE)


class StudyReport(APIView):
    @extend_schema(responses={(200, "application/json"): {"type": "object", "additionalProperties": True}})
    def get(self, request: Request, study_id: str) -> HttpResponseBase:
        """The report with everything that its charts show. 409 before there is one."""
        return _report_file(study_or_404(study_id), REPORT_FILE)


def _report_file(study: Study, name: str) -> HttpResponseBase:
    output = Artifact.objects.filter(
        operation=study.reporter_id or "", role=Artifact.Role.OUTPUT, name=name
    ).first()
    if output is None:
        raise Conflict(f"The study is {study.status}: it has no {name} yet.")
    return file_response(output.file_id, name)
