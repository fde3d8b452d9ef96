"""Artifacts of operations, for people."""

from pathlib import PurePosixPath

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from operations import artifacts
from operations.api.base import get_or_404
from operations.api.serializers import ArtifactSerializer
from operations.models import Artifact

CONTENT_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}


def file_response(sha256: str, name: str) -> FileResponse:
    """Return the stored file, always as a download: a browser must never render what a job wrote as one of our pages."""
    try:
        file = artifacts.path_of(sha256).open("rb")
    except FileNotFoundError as error:
        raise NotFound("The file no longer exists.") from error
    path = PurePosixPath(name)
    response = FileResponse(
        file,
        as_attachment=True,
        filename=path.name,
        content_type=CONTENT_TYPES.get(path.suffix, "application/octet-stream"),
    )
    response["ETag"] = f'"{sha256}"'
    response["Cache-Control"] = "private, no-cache"  # kept, but only for those who may still read it
    response["X-Content-Type-Options"] = "nosniff"
    return response


class ArtifactsOfOperation(APIView):
    @extend_schema(responses=ArtifactSerializer(many=True))
    def get(self, request: Request, operation_id: str) -> Response:
        """List the operation's outputs and inputs (`role`)."""
        rows = get_or_404(operation_id).artifacts.select_related("file")
        artifacts_shown = rows.exclude(role=Artifact.Role.CHECKPOINT).order_by("-role", "name")
        data = ArtifactSerializer(artifacts_shown, many=True, context={"request": request}).data
        return Response({"results": data, "next": None, "previous": None})


class ArtifactOfOperation(APIView):
    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, operation_id: str, name: str) -> FileResponse:
        operation = get_or_404(operation_id)
        rows = operation.artifacts.exclude(role=Artifact.Role.CHECKPOINT).filter(
            name=name.replace("\x00", "")
        )
        # An output takes precedence over an input of the same name: "output" sorts after "input".
        artifact = rows.order_by("-role").first()
        if artifact is None:
            raise NotFound(f"The operation has no file {name}.")
        return file_response(artifact.file_id, artifact.name)
