"""API for API tokens: users see their own tokens, staff see all of them."""

from http import HTTPStatus
from typing import Annotated, Any, ClassVar

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import path
from drf_spectacular.utils import extend_schema, inline_serializer
from pydantic import BaseModel, ConfigDict, Field
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from access.problems import CursorPagination, body, validate
from access.roles import Role, role_of
from ktrdr_site.models import ApiToken, token_digest
from registry.api.enrolment import TokenName

Act = AuditEntry.Act
MAX_DAYS = 3650


class TokenRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: TokenName
    scope: ApiToken.Scope = ApiToken.Scope.FULL
    expires_in_days: Annotated[float, Field(gt=0, le=MAX_DAYS, allow_inf_nan=False)] | None = None


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    user = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = ApiToken
        fields = (
            "id",
            "user",
            "name",
            "scope",
            "created_at",
            "last_used_at",
            "expires_at",
            "revoked_at",
        )
        read_only_fields = fields


def person(request: Request) -> User:
    assert isinstance(request.user, User), "the permission admits only users"
    return request.user


def visible(request: Request) -> QuerySet[ApiToken]:
    """Return the user's own tokens; for staff all tokens."""
    user = person(request)
    rows = ApiToken.objects.select_related("user")
    return rows if role_of(user) >= Role.STAFF else rows.filter(user=user)


class Tokens(ListAPIView[ApiToken]):
    roles: ClassVar = {"POST": Role.VIEWER}
    queryset = ApiToken.objects.none()  # names the model for the API document
    serializer_class = TokenSerializer
    pagination_class = CursorPagination

    def get_queryset(self) -> Any:
        return visible(self.request)

    @extend_schema(
        request=TokenRequest,
        responses={
            201: inline_serializer(
                "NewApiToken",
                {
                    "id": serializers.IntegerField(),
                    "name": serializers.CharField(),
                    "token": serializers.CharField(),
                },
            )
        },
    )
    def post(self, request: Request) -> Response:
        """Create a token for the signed-in user. Only this response contains it."""
        if isinstance(request.auth, ApiToken):
            raise PermissionDenied(
                "An API token cannot create another one, which would outlive its revocation. Sign in instead."
            )
        token_request = validate(TokenRequest, body(request))
        name = token_request.name
        user = person(request)
        with transaction.atomic():
            token = ApiToken.issue(user, name, token_request.scope, token_request.expires_in_days)
            audit.record(
                Act.API_TOKEN_CREATED,
                f"{name} of {user}"[:200],
                Actor.from_request(request),
                token_request.scope,
            )
        row = ApiToken.objects.get(sha256=token_digest(token))
        return Response({"id": row.pk, "name": name, "token": token}, status=HTTPStatus.CREATED)


class TokenDetail(APIView):
    roles: ClassVar = {"DELETE": Role.VIEWER}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_id: int) -> Response:
        """Revoke a token immediately. Staff may revoke the tokens of all users."""
        if isinstance(request.auth, ApiToken) and request.auth.scope == ApiToken.Scope.READ:
            raise PermissionDenied("This API token may only read.")
        row = visible(request).filter(pk=token_id).first()
        if row is None:
            raise NotFound("Token not found.")
        with transaction.atomic():
            if ApiToken.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=Now()):
                audit.record(Act.API_TOKEN_REVOKED, str(row)[:200], Actor.from_request(request))
        return Response(status=HTTPStatus.NO_CONTENT)


urlpatterns = [
    path("tokens", Tokens.as_view(), name="api-tokens"),
    path("tokens/<int:token_id>", TokenDetail.as_view(), name="api-token"),
]
