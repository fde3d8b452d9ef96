"""Artifacts of operations, for people."""

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from operations.api.base import get_or_404
from operations.api.serializers import ArtifactSerializer
from operations.api.stored_responses import BYTES, CONTENT_TYPES, file_response
from operations.models import Artifact


@extend_schema_field({"type": "null"})
class Nothing(serializers.ReadOnlyField):
    """Always null: the list has one page."""


LIST = inline_serializer(
    "ArtifactList", {"results": ArtifactSerializer(many=True), "next": Nothing(), "previous": Nothing()}
)
DOWNLOAD = {
    (200, content_type.partition(";")[0]): OpenApiTypes.BINARY
    for content_type in (BYTES, *CONTENT_TYPES.values())
}
"""The responses of a download, for the API document."""


class ArtifactsOfOperation(APIView):
    @extend_schema(operation_id="operations_artifacts_list", responses=LIST)
    def get(self, request: Request, operation_id: str) -> Response:
        """List the operation's outputs and inputs (`role`)."""
        rows = get_or_404(operation_id).artifacts.select_related("file")
        artifacts_shown = rows.exclude(role=Artifact.Role.CHECKPOINT).order_by("-role", "name")
        data = ArtifactSerializer(artifacts_shown, many=True, context={"request": request}).data
        return Response({"results": data, "next": None, "previous": None})


class ArtifactOfOperation(APIView):
    @extend_schema(responses=DOWNLOAD)
    def get(self, request: Request, operation_id: str, name: str) -> HttpResponseBase:
        """Return the file, or the byte range that `Range` names."""
        operation = get_or_404(operation_id)
        rows = operation.artifacts.exclude(role=Artifact.Role.CHECKPOINT).filter(
            name=name.replace("\x00", "")
        )
        # An output takes precedence over an input of the same name: "output" sorts after "input".
        artifact = rows.order_by("-role").first()
        if artifact is None:
            raise NotFound(f"The operation has no file {name}.")
        return file_response(artifact.file_id, artifact.name, request)
