"""Stored secrets of jobs, for staff: list, create, change, delete. No response contains a value."""

from http import HTTPStatus
from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.actors import Actor
from access.problems import CursorPagination, body, invalid, validate
from access.roles import Role
from registry import encryption, worker_secrets
from registry.models import WorkerSecret
from worker_agent.protocol import Identifier, SecretName
from worker_agent.values import require_storable

MIN_LENGTH, MAX_LENGTH = 8, 8_000
"""Of a value. A shorter one could not be removed from logs without removing ordinary text."""
NAME = TypeAdapter(SecretName)
EVERY_METHOD = dict.fromkeys(("GET", "HEAD", "PUT", "DELETE"), Role.STAFF)


class SecretRequest(BaseModel):
    """A new secret needs a value. Of an existing one, a field that is absent stays as it is."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: SecretStr | None = Field(default=None, min_length=MIN_LENGTH, max_length=MAX_LENGTH)
    worker_types: tuple[Identifier, ...] | None = Field(default=None, max_length=20)
    """Types of the workers whose jobs may read it."""

    @field_validator("value")
    @classmethod
    def _require_storable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            require_storable(value.get_secret_value())
        return value


class WorkerSecretSerializer(serializers.ModelSerializer[WorkerSecret]):
    changed_by = serializers.CharField(source="changed_by.username", allow_null=True, default=None)
    is_readable = serializers.SerializerMethodField(
        help_text="false if the value was encrypted with a secret key that the site no longer has"
    )

    class Meta:
        model = WorkerSecret
        fields = (
            "name",
            "worker_types",
            "created_at",
            "changed_at",
            "changed_by",
            "last_read_at",
            "is_readable",
        )
        read_only_fields = fields

    def get_is_readable(self, secret: WorkerSecret) -> bool:
        return encryption.is_readable(secret.ciphertext)


class ByName(CursorPagination):
    ordering = "name"


class WorkerSecrets(ListAPIView[WorkerSecret]):
    """The stored secrets of jobs, without their values."""

    roles: ClassVar = EVERY_METHOD
    queryset = WorkerSecret.objects.select_related("changed_by")
    serializer_class = WorkerSecretSerializer
    pagination_class = ByName


class WorkerSecretDetail(APIView):
    roles: ClassVar = EVERY_METHOD
    example: ClassVar = {"value": "key of the data provider", "worker_types": ["news"]}

    @extend_schema(
        request=SecretRequest,
        responses={
            200: WorkerSecretSerializer,
            201: OpenApiResponse(WorkerSecretSerializer, description="the secret is new"),
        },
    )
    def put(self, request: Request, name: str) -> Response:
        """Create or change a secret. Its value cannot be read again; jobs of the worker types receive it."""
        secret_request = validate(SecretRequest, body(request))
        value = secret_request.value.get_secret_value() if secret_request.value else None
        try:
            secret, is_new = worker_secrets.save(
                _valid(name), value, secret_request.worker_types, Actor.from_request(request)
            )
        except WorkerSecret.DoesNotExist as error:
            raise invalid("/value", "A new secret needs a value.") from error
        status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        return Response(WorkerSecretSerializer(secret).data, status=status)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Delete a secret. Operations whose jobs need it fail from now on."""
        if not worker_secrets.delete(_valid(name), Actor.from_request(request)):
            raise NotFound("Unknown secret.")
        return Response(status=HTTPStatus.NO_CONTENT)


def _valid(name: str) -> str:
    try:
        return NAME.validate_python(name)
    except ValidationError as error:
        detail = "A secret's name has up to 100 letters, digits, _, . and -, and starts with a letter or _."
        raise invalid("/name", detail) from error


urlpatterns: list[Any] = [
    path("secrets", WorkerSecrets.as_view(), name="worker-secrets"),
    path("secrets/<str:name>", WorkerSecretDetail.as_view(), name="worker-secret"),
]
