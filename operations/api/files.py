"""Files and market data, for people."""

from pathlib import PurePosixPath
from typing import Any, ClassVar

from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import Conflict, CursorPagination, Problem, checked, invalid
from access.roles import Role
from operations import artifacts, market_data, orders
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, accepted, found, person, submitted, submitter
from operations.api.serializers import ArtifactSerializer, MarketDataSerializer, SubmittedSerializer
from operations.models import Artifact, MarketData, Operation
from operations.requests import ImportRequest
from operations.submission import repeated

MAX_UPLOAD = 1024**3
"""Bytes of a market-data file."""
CONTENT_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}


def file_response(sha256: str, name: str) -> FileResponse:
    """The stored file, always as a download: nothing that a job wrote is shown by a browser as a page of ours."""
    try:
        file = artifacts.path_of(sha256).open("rb")
    except FileNotFoundError as error:
        raise NotFound("The file is not there any more.") from error
    plain = PurePosixPath(name)
    response = FileResponse(
        file,
        as_attachment=True,
        filename=plain.name,
        content_type=CONTENT_TYPES.get(plain.suffix, "application/octet-stream"),
    )
    response["ETag"] = f'"{sha256}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


class ArtifactsOfOperation(APIView):
    @extend_schema(responses=ArtifactSerializer(many=True))
    def get(self, request: Request, operation_id: str) -> Response:
        """What the operation made, and what it was given (`role`)."""
        rows = found(Operation.objects.all(), operation_id).artifacts.select_related("file")
        shown = rows.exclude(role=Artifact.Role.CHECKPOINT).order_by("-role", "name")
        data = ArtifactSerializer(shown, many=True, context={"request": request}).data
        return Response({"results": data, "next": None, "previous": None})


class ArtifactOfOperation(APIView):
    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, operation_id: str, name: str) -> FileResponse:
        operation = found(Operation.objects.all(), operation_id)
        rows = operation.artifacts.exclude(role=Artifact.Role.CHECKPOINT).filter(
            name=name.replace("\x00", "")
        )
        # An output goes before an input of the same name: "output" sorts after "input".
        artifact = rows.order_by("-role").first()
        if artifact is None:
            raise NotFound(f"The operation has no file {name}.")
        return file_response(artifact.file_id, artifact.name)


class BySymbol(CursorPagination):
    ordering = ("symbol", "timeframe")  # type: ignore[assignment]  # DRF takes several


class MarketDataList(ListAPIView[MarketData]):
    serializer_class = MarketDataSerializer
    pagination_class = BySymbol
    parser_classes = (MultiPartParser, FormParser, JSONParser)

    def get_queryset(self) -> Any:
        return MarketData.objects.select_related("file")

    @extend_schema(
        request={"multipart/form-data": ImportRequest.model_json_schema()},
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[examples.ACCEPTED],
    )
    def post(self, request: Request) -> Response:
        """Stores the file and submits its import; a worker checks it and stores the bars."""
        upload = request.FILES.get("file")
        if not isinstance(upload, UploadedFile):
            raise invalid("/file", "Send the file as multipart/form-data, in a field `file`.")
        if (upload.size or 0) > MAX_UPLOAD:
            raise Problem(
                f"A file may have at most {MAX_UPLOAD} bytes.",
                status=status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
            )
        fields = {name: value for name, value in request.POST.items() if name in ImportRequest.model_fields}
        asked = checked(ImportRequest, fields)
        try:
            stored = artifacts.put(upload.chunks())
        except artifacts.NoSpace as error:
            raise Problem(str(error), status=status.HTTP_507_INSUFFICIENT_STORAGE) from error
        by = submitter(request, {**fields, "file": stored.sha256})
        if (before := repeated(by)) is not None:
            return accepted(request, before)
        return submitted(request, orders.data_import(asked, stored, upload.name or "upload"), by)


class MarketDataOf(APIView):
    roles: ClassVar = {"DELETE": Role.STAFF}

    @extend_schema(responses=MarketDataSerializer)
    def get(self, request: Request, symbol: str, timeframe: str) -> Response:
        rows = MarketData.objects.select_related("file")
        row = rows.filter(symbol=symbol.replace("\x00", ""), timeframe=timeframe.replace("\x00", "")).first()
        if row is None:
            raise NotFound(f"There are no bars of {symbol} {timeframe}.")
        return Response(MarketDataSerializer(row).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, symbol: str, timeframe: str) -> Response:
        """Forgets the bars. 409 while an operation that has not ended reads them."""
        try:
            market_data.remove(symbol.replace("\x00", ""), timeframe.replace("\x00", ""), person(request))
        except MarketData.DoesNotExist as error:
            raise NotFound(f"There are no bars of {symbol} {timeframe}.") from error
        except market_data.MarketDataInUse as error:
            raise Conflict(str(error)) from error
        return Response(status=status.HTTP_204_NO_CONTENT)
