"""Pausing and resuming the dispatching of operations."""

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from pydantic import BaseModel, ConfigDict, Field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import body, validate
from access.roles import Role
from operations import dispatch_pauses
from operations.actors import Actor
from worker_agent.values import Text


class DispatchPauseRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reason: Text = Field(min_length=1, max_length=200, description="shown on every page and with what waits")
    hours: float | None = Field(
        default=None, gt=0, le=dispatch_pauses.MAX_HOURS, description="null: until somebody resumes"
    )
    read_only: bool = Field(
        default=False, description="also refuse every change with 503, those of workers included"
    )


class PauseSerializer(serializers.Serializer[dict[str, Any]]):
    paused = serializers.BooleanField()
    read_only = serializers.BooleanField()  # type: ignore[assignment]  # a declared field, not the attribute
    reason = serializers.CharField(allow_null=True)
    paused_by = serializers.CharField(allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)


class Pause(APIView):
    roles: ClassVar = {"PUT": Role.STAFF, "DELETE": Role.STAFF}

    @extend_schema(operation_id="dispatch_pause_retrieve", responses=PauseSerializer)
    def get(self, request: Request) -> Response:
        """Whether dispatching is paused, by whom and why."""
        return _response()

    @extend_schema(
        operation_id="dispatch_pause_begin", request=DispatchPauseRequest, responses=PauseSerializer
    )
    def put(self, request: Request) -> Response:
        """Start no operation until the pause ends: what runs goes on, what is submitted waits."""
        pause_request = validate(DispatchPauseRequest, body(request))
        dispatch_pauses.begin(
            Actor.from_request(request),
            pause_request.reason,
            pause_request.hours,
            read_only=pause_request.read_only,
        )
        return _response()

    @extend_schema(operation_id="dispatch_pause_end", responses={200: PauseSerializer})
    def delete(self, request: Request) -> Response:
        """End the pause; nothing changes if there is none."""
        dispatch_pauses.end(Actor.from_request(request))
        return _response()


def _response() -> Response:
    pause = dispatch_pauses.current()
    fields = ("reason", "paused_by", "paused_at", "ends_at")
    state = {name: getattr(pause, name, None) for name in fields}
    read_only = pause is not None and pause.read_only
    return Response(PauseSerializer({"paused": pause is not None, "read_only": read_only, **state}).data)


urlpatterns = [path("dispatch-pause", Pause.as_view(), name="dispatch-pause")]
