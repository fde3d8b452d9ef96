"""Enrolment tokens over the API, for staff."""

from http import HTTPStatus
from typing import Annotated, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema, inline_serializer
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.actors import Actor
from access.problems import CursorPagination, body, validate
from access.roles import Role
from registry import enrolment
from registry.models import EnrolmentToken
from worker_agent.protocol import Identifier

TokenName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00]*$")
]


class EnrolmentTokenRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: TokenName
    worker_types: tuple[Identifier, ...] = Field(default=(), max_length=20)
    operation_types: tuple[Identifier, ...] = Field(default=(), max_length=20)
    """Types of other pools that its workers may announce, beside those of its worker types."""


class EnrolmentTokenSerializer(serializers.ModelSerializer[EnrolmentToken]):
    class Meta:
        model = EnrolmentToken
        fields = ("id", "name", "worker_types", "operation_types", "created_at", "last_used_at", "revoked_at")
        read_only_fields = fields


class EnrolmentTokens(ListAPIView[EnrolmentToken]):
    roles: ClassVar = dict.fromkeys(("GET", "HEAD", "POST"), Role.STAFF)
    serializer_class = EnrolmentTokenSerializer
    pagination_class = CursorPagination

    def get_queryset(self) -> Any:
        return EnrolmentToken.objects.all()

    @extend_schema(
        request=EnrolmentTokenRequest,
        responses={
            201: inline_serializer(
                "NewEnrolmentToken",
                {
                    "id": serializers.IntegerField(),
                    "name": serializers.CharField(),
                    "worker_types": serializers.ListField(child=serializers.CharField()),
                    "operation_types": serializers.ListField(child=serializers.CharField()),
                    "token": serializers.CharField(),
                },
            )
        },
    )
    def post(self, request: Request) -> Response:
        """Create an enrolment token for a pool of workers. The token is in this response only."""
        token_request = validate(EnrolmentTokenRequest, body(request))
        by = Actor.from_request(request)
        row, token = enrolment.issue(
            token_request.name,
            token_request.worker_types,
            by,
            by.user_id,
            token_request.operation_types,
        )
        data = {
            "id": row.pk,
            "name": row.name,
            "worker_types": row.worker_types,
            "operation_types": row.operation_types,
            "token": token,
        }
        return Response(data, status=HTTPStatus.CREATED)


class EnrolmentTokenDetail(APIView):
    roles: ClassVar = {"DELETE": Role.STAFF}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_id: int) -> Response:
        """Revoke the token immediately: it can no longer enrol workers, and its workers are removed from the registry."""
        row = EnrolmentToken.objects.filter(pk=token_id).first()
        if row is None:
            raise NotFound("Unknown enrolment token.")
        enrolment.revoke(row, Actor.from_request(request))
        return Response(status=HTTPStatus.NO_CONTENT)


urlpatterns = [
    path("enrolment-tokens", EnrolmentTokens.as_view(), name="enrolment-tokens"),
    path("enrolment-tokens/<int:token_id>", EnrolmentTokenDetail.as_view(), name="enrolment-token"),
]
