"""Studies for people and their programs: plan, create, list, and change their course."""

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.actors import Actor
from access.problems import NewestFirst, body, invalid, validate
from access.roles import Role
from operations.api.base import IDEMPOTENCY_KEY, submitter
from operations.example_requests import RULES_STRATEGY
from studies import lifecycle
from studies.api.base import change, study_or_404, study_response
from studies.creation import create, find_repeat
from studies.extension import extend
from studies.models import Study
from studies.plan_serializers import PlanSerializer
from studies.planning import make_plan
from studies.request import ExtendRequest, StudyRequest
from studies.serializers import StudyDetailSerializer, StudySerializer, SubmittedStudySerializer
from studies.states import StudyStatus

EXAMPLE = {
    "strategy_yaml": RULES_STRATEGY,
    "study_yaml": """\
study: "1.0"
name: cross_search
data: {symbols: [AAPL], until: 2009-12-31}
search:
  method: grid
  parameters:
    /indicators/fast/period: {range: [5, 50], step: 5}
    /indicators/slow/period: {range: [60, 200], step: 20}
objective: {metric: sharpe}
validation: {scheme: walk_forward, train: 750, test: 125}
""",
}


class StudyFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library has no types
    """`?status=&search=`"""

    status = django_filters.CharFilter(method="by_status", label="one or more statuses, separated by commas")
    search = django_filters.CharFilter(method="by_text", label="part of the name")

    class Meta:
        model = Study
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Study]) -> QuerySet[Study]:
        for name, value in self.data.items():
            if "\x00" in str(value):
                raise invalid(f"/{name}", "Text may not contain NUL characters.")
        filtered: QuerySet[Study] = super().filter_queryset(queryset)
        return filtered

    def by_status(self, queryset: QuerySet[Study], name: str, value: str) -> QuerySet[Study]:
        statuses = {part.strip().upper() for part in value.split(",")}
        if unknown := statuses - set(StudyStatus):
            listed = ", ".join(sorted(unknown))[:80]
            raise invalid("/status", f"Unknown status {listed}; use one of {', '.join(StudyStatus)}.")
        return queryset.filter(status__in=statuses)

    def by_text(self, queryset: QuerySet[Study], name: str, value: str) -> QuerySet[Study]:
        return queryset.filter(name__icontains=value)


class StudyList(ListAPIView[Study]):
    serializer_class = StudySerializer
    pagination_class = NewestFirst
    filterset_class = StudyFilter

    def get_queryset(self) -> Any:
        return Study.objects.select_related("created_by").defer("spec", "study_yaml", "strategy_yaml")

    @extend_schema(
        request=StudyRequest,
        responses={202: SubmittedStudySerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[OpenApiExample("A grid of a rules strategy", value=EXAMPLE, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Start a study. The answer contains its URL and its plan."""
        data = body(request)
        by = submitter(request, data)
        study, plan = find_repeat(by), None
        if study is None:
            study, plan = create(validate(StudyRequest, data), by)
        context = {"request": request, "plan": plan.as_data() if plan else None}
        fields = SubmittedStudySerializer(study, context=context).data
        return Response(fields, status=status.HTTP_202_ACCEPTED, headers={"Location": fields["url"]})


class ValidateStudy(APIView):
    roles: ClassVar = {"POST": Role.VIEWER}

    @extend_schema(request=StudyRequest, responses=PlanSerializer)
    def post(self, request: Request) -> Response:
        """Return the plan of a study: trials, folds, runs, hours, and the ratio that luck would reach. Nothing is stored."""
        return Response(make_plan(validate(StudyRequest, body(request))).as_data())


class StudyDetail(APIView):
    @extend_schema(responses=StudyDetailSerializer)
    def get(self, request: Request, study_id: str) -> Response:
        return study_response(study_id)


class PauseStudy(APIView):
    @extend_schema(request=None, responses={202: StudyDetailSerializer})
    def post(self, request: Request, study_id: str) -> Response:
        """Submit no more batches; those that were submitted go on. 409 unless it is RUNNING."""
        return change(request, study_id, lambda: lifecycle.pause(study_id, Actor.from_request(request)))


class ResumeStudy(APIView):
    @extend_schema(request=None, responses={202: StudyDetailSerializer})
    def post(self, request: Request, study_id: str) -> Response:
        """Continue a PAUSED study."""
        return change(request, study_id, lambda: lifecycle.resume(study_id, Actor.from_request(request)))


class CancelStudy(APIView):
    @extend_schema(request=None, responses={202: StudyDetailSerializer})
    def post(self, request: Request, study_id: str) -> Response:
        """End a live study and cancel its operations. Results so far are kept."""
        return change(request, study_id, lambda: lifecycle.cancel(study_id, Actor.from_request(request)))


class ExtendStudy(APIView):
    @extend_schema(request=ExtendRequest, responses={202: StudyDetailSerializer})
    def post(self, request: Request, study_id: str) -> Response:
        """Add trials after the last one, and hours to the budget; a COMPLETED study runs again."""
        study_or_404(study_id)
        extension = validate(ExtendRequest, body(request))
        return change(request, study_id, lambda: extend(study_id, Actor.from_request(request), extension))
