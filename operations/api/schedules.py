"""Schedules: list, create, change, pause, resume, delete, and the log of due times."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import CursorPagination, NewestFirst, body, validate
from operations import example_requests
from operations.actors import Actor
from operations.api.base import IDEMPOTENCY_KEY, submitter
from operations.models import Schedule, ScheduleRun
from operations.schedules import saving
from operations.schedules.requests import PauseRequest, ScheduleChange, ScheduleRequest
from operations.schedules.times import next_times


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    created_by = serializers.CharField(source="created_by.username")
    operation_type = serializers.SerializerMethodField()
    last_operation_id = serializers.CharField(allow_null=True)
    catch_up = serializers.ChoiceField(choices=Schedule.CatchUp.values)
    overlap = serializers.ChoiceField(choices=Schedule.Overlap.values)

    class Meta:
        model = Schedule
        fields = (
            "schedule_id",
            "name",
            "operation_type",
            "cron",
            "time_zone",
            "catch_up",
            "overlap",
            "created_at",
            "created_by",
            "next_run_at",
            "waits_for_last",
            "last_operation_id",
            "failures",
            "problem",
            "paused_at",
            "pause_reason",
        )

    def get_operation_type(self, schedule: Schedule) -> str:
        return str(schedule.submission.get("operation_type", ""))


class ScheduleDetailSerializer(ScheduleSerializer):
    operation = serializers.DictField(source="submission")
    next_times = serializers.SerializerMethodField(
        help_text="the next five due times, of a paused one if it were resumed"
    )

    class Meta(ScheduleSerializer.Meta):
        fields = (*ScheduleSerializer.Meta.fields, "operation", "next_times")  # type: ignore[assignment]  # more

    @extend_schema_field(serializers.ListField(child=serializers.DateTimeField()))
    def get_next_times(self, schedule: Schedule) -> list[datetime]:
        return next_times(schedule.cron, schedule.time_zone, saving.database_time())


class ScheduleRunSerializer(serializers.ModelSerializer[ScheduleRun]):
    operation_id = serializers.CharField(allow_null=True)

    class Meta:
        model = ScheduleRun
        fields = ("due_at", "at", "outcome", "operation_id", "detail")


class ScheduleList(ListAPIView[Schedule]):
    queryset = Schedule.objects.select_related("created_by")
    serializer_class = ScheduleSerializer
    pagination_class = NewestFirst
    example = example_requests.SCHEDULE

    @extend_schema(
        operation_id="schedules_create",
        request=ScheduleRequest,
        responses={201: ScheduleDetailSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[OpenApiExample("Every weekday", value=example_requests.SCHEDULE, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Repeat a submission at the times of a cron expression, as its owner. 422 if it could not be submitted now."""
        data = body(request)
        by = submitter(request, data)
        schedule = saving.find_repeat(by) or saving.create(validate(ScheduleRequest, data), by)
        response = _response(schedule.schedule_id, status.HTTP_201_CREATED)
        response.headers["Location"] = request.build_absolute_uri(f"/schedules/{schedule.schedule_id}")
        return response


class ScheduleDetail(APIView):
    example: ClassVar = {"cron": "0 7 * * mon-fri", "overlap": "queue"}

    @extend_schema(operation_id="schedules_retrieve", responses=ScheduleDetailSerializer)
    def get(self, request: Request, schedule_id: str) -> Response:
        """Return a schedule with its submission and its next five due times."""
        return _response(schedule_id)

    @extend_schema(
        operation_id="schedules_update", request=ScheduleChange, responses=ScheduleDetailSerializer
    )
    def patch(self, request: Request, schedule_id: str) -> Response:
        """Change name, times or rules; only its owner and staff may. The submission cannot be changed."""
        _require_owner(request, schedule_id)
        changes = validate(ScheduleChange, body(request))
        return _change(schedule_id, lambda: saving.change(schedule_id, changes, Actor.from_request(request)))

    @extend_schema(
        operation_id="schedules_delete",
        responses={200: inline_serializer("DeletedSchedule", {"schedule_id": serializers.CharField()})},
    )
    def delete(self, request: Request, schedule_id: str) -> Response:
        """Delete a schedule; the operations that it submitted stay. Only its owner and staff may."""
        _require_owner(request, schedule_id)
        try:
            saving.delete(schedule_id, Actor.from_request(request))
        except Schedule.DoesNotExist as error:
            raise NotFound("Unknown schedule.") from error
        return Response({"schedule_id": schedule_id})


class PauseSchedule(APIView):
    @extend_schema(operation_id="schedules_pause", request=PauseRequest, responses=ScheduleDetailSerializer)
    def post(self, request: Request, schedule_id: str) -> Response:
        """Submit nothing until it is resumed; its operations go on. Only its owner and staff may. 409 if it is paused."""
        _require_owner(request, schedule_id)
        reason = validate(PauseRequest, body(request)).reason
        return _change(schedule_id, lambda: saving.pause(schedule_id, Actor.from_request(request), reason))


class ResumeSchedule(APIView):
    @extend_schema(operation_id="schedules_resume", request=None, responses=ScheduleDetailSerializer)
    def post(self, request: Request, schedule_id: str) -> Response:
        """Continue with the next due time. Only its owner and staff may. 409 if it is not paused."""
        _require_owner(request, schedule_id)
        return _change(schedule_id, lambda: saving.resume(schedule_id, Actor.from_request(request)))


class RunsOfSchedule(ListAPIView[ScheduleRun]):
    serializer_class = ScheduleRunSerializer
    pagination_class = CursorPagination

    def get_queryset(self) -> QuerySet[ScheduleRun]:
        if getattr(self, "swagger_fake_view", False):  # for the API document
            return ScheduleRun.objects.none()
        return get_or_404(self.kwargs["schedule_id"]).runs.all()

    @extend_schema(operation_id="schedules_runs_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the newest 200 due times with their outcomes, newest first."""
        return super().get(request, *args, **kwargs)


def get_or_404(schedule_id: str) -> Schedule:
    """Return the schedule. Raises NotFound."""
    rows = Schedule.objects.select_related("created_by")
    schedule = None if "\x00" in schedule_id else rows.filter(schedule_id=schedule_id).first()
    if schedule is None:
        raise NotFound("Unknown schedule.")
    return schedule


def _response(schedule_id: str, code: int = status.HTTP_200_OK) -> Response:
    return Response(ScheduleDetailSerializer(get_or_404(schedule_id)).data, status=code)


def _require_owner(request: Request, schedule_id: str) -> None:
    user = request.user
    assert isinstance(user, User), "the permission admits only people"
    if reason := saving.refusal(get_or_404(schedule_id), user):
        raise PermissionDenied(reason)


def _change(schedule_id: str, act: Callable[[], object]) -> Response:
    """Change the schedule and return it. Raises NotFound, Conflict."""
    try:
        act()
    except Schedule.DoesNotExist as error:
        raise NotFound("Unknown schedule.") from error
    return _response(schedule_id)


urlpatterns = [
    path("schedules", ScheduleList.as_view(), name="schedules"),
    path("schedules/<str:schedule_id>", ScheduleDetail.as_view(), name="schedule"),
    path("schedules/<str:schedule_id>/pause", PauseSchedule.as_view(), name="pause-schedule"),
    path("schedules/<str:schedule_id>/resume", ResumeSchedule.as_view(), name="resume-schedule"),
    path("schedules/<str:schedule_id>/runs", RunsOfSchedule.as_view(), name="schedule-runs"),
]
