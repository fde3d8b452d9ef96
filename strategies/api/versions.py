"""Versions of a saved strategy: list, save, read, export, compare."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import CursorPagination, body, invalid, validate
from operations.api.base import integer_parameter
from strategies import saving
from strategies.api.lookup import get_or_404, user_of, version_or_404, write
from strategies.api.serializers import DiffLineSerializer, VersionDetailSerializer, VersionSerializer
from strategies.differences import diff_lines
from strategies.models import StrategyVersion
from strategies.requests import NewVersion

MAX_VERSION = 2**31 - 1
_NUMBER = {"type": "integer", "minimum": 1, "maximum": MAX_VERSION}


class NewestVersionFirst(CursorPagination):
    ordering = "-number"


class VersionList(ListAPIView[StrategyVersion]):
    serializer_class = VersionSerializer
    pagination_class = NewestVersionFirst

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return StrategyVersion.objects.none()
        strategy = get_or_404(self.kwargs["name"])
        return strategy.versions.select_related("created_by").defer("text")

    @extend_schema(
        operation_id="strategies_versions_create",
        request=NewVersion,
        responses={200: VersionDetailSerializer, 201: VersionDetailSerializer},
    )
    def post(self, request: Request, name: str) -> Response:
        """Save a text as the next version. 200 if the newest version has this text already.

        409 if `based_on` is not the newest version, because somebody else has saved one since.
        """
        get_or_404(name)
        new = validate(NewVersion, body(request))
        version, is_new = write(lambda: saving.add_version(name, new, user_of(request)))
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(VersionDetailSerializer(version).data, status=code)


class VersionDetail(APIView):
    @extend_schema(operation_id="strategies_versions_retrieve", responses=VersionDetailSerializer)
    def get(self, request: Request, name: str, number: int) -> Response:
        """Return a version with its text."""
        return Response(VersionDetailSerializer(version_or_404(name, number)).data)


class VersionFile(APIView):
    @extend_schema(operation_id="strategies_versions_file", responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, name: str, number: int) -> HttpResponse:
        """Send a version as a file."""
        version = version_or_404(name, number)
        response = HttpResponse(version.text, content_type="text/plain; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{name}.yaml"'
        return response


class Difference(APIView):
    @extend_schema(
        operation_id="strategies_diff",
        parameters=[
            OpenApiParameter(side, _NUMBER, description="number of a version", required=True)
            for side in ("from", "to")
        ],
        responses=inline_serializer(
            "StrategyDiff",
            {
                "from": serializers.IntegerField(),
                "to": serializers.IntegerField(),
                "lines": DiffLineSerializer(many=True),
            },
        ),
    )
    def get(self, request: Request, name: str) -> Response:
        """Compare two versions line by line, with three lines around each change."""
        older, newer = (version_or_404(name, _side(request, side)) for side in ("from", "to"))
        lines = DiffLineSerializer(diff_lines(older.text, newer.text), many=True).data
        return Response({"from": older.number, "to": newer.number, "lines": lines})


def _side(request: Request, name: str) -> int:
    """Return the number of one of the two versions. Raises Invalid."""
    if name not in request.query_params:
        raise invalid(f"/{name}", f"Set {name} to the number of a version.")
    return integer_parameter(request, name, 1, 1, MAX_VERSION)
