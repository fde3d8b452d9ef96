"""Uploads: files for use as inputs of operations."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.body_limits import FORM_OVERHEAD, accept_bodies
from access.problems import NewestFirst, invalid
from operations import uploads
from operations.models import Upload
from operations.received_files import MAX_FILE_BYTES

FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
FORM = {"type": "object", "properties": {"file": FILE}, "required": ["file"]}


class UploadSerializer(serializers.ModelSerializer[Upload]):
    size = serializers.IntegerField(source="file.size", help_text="bytes")
    sha256 = serializers.CharField(source="file_id")
    created_by = serializers.CharField(source="created_by.username")

    class Meta:
        model = Upload
        fields = ("upload_id", "name", "size", "sha256", "created_by", "created_at", "expires_at")
        read_only_fields = fields


@accept_bodies(MAX_FILE_BYTES + FORM_OVERHEAD)
class Uploads(ListAPIView[Upload]):
    """The uploads that have not expired, of all users."""

    serializer_class = UploadSerializer
    pagination_class = NewestFirst
    parser_classes = (MultiPartParser, FormParser)

    def get_queryset(self) -> Any:
        return uploads.current().select_related("file", "created_by")

    @extend_schema(request={"multipart/form-data": FORM}, responses={201: UploadSerializer})
    def post(self, request: Request) -> Response:
        """Store a file for `inputs` of an operation. The same file under the same name is the same upload again."""
        file = request.FILES.get("file")
        if not isinstance(file, UploadedFile):
            raise invalid("/file", "Send the file as multipart/form-data, in a field `file`.")
        upload = uploads.store(file, _user(request))
        headers = {"Location": request.build_absolute_uri(f"/uploads/{upload.pk}")}
        return Response(UploadSerializer(upload).data, status=HTTPStatus.CREATED, headers=headers)


class UploadDetail(APIView):
    @extend_schema(responses=UploadSerializer)
    def get(self, request: Request, upload_id: str) -> Response:
        """Return the size, owner and expiry of an upload."""
        return Response(UploadSerializer(_get_or_404(upload_id)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, upload_id: str) -> Response:
        """Delete an upload; only its owner and staff may. Operations submitted with it keep its content."""
        try:
            uploads.remove(_get_or_404(upload_id), _user(request))
        except uploads.NotOwner as error:
            raise PermissionDenied(str(error)) from error
        return Response(status=HTTPStatus.NO_CONTENT)


def _get_or_404(upload_id: str) -> Upload:
    upload = uploads.find(upload_id)
    if upload is None:
        raise NotFound("Unknown upload; it may have expired.")
    return upload


def _user(request: Request) -> User:
    assert isinstance(request.user, User), "the permission admits only people"
    return request.user


urlpatterns = [
    path("uploads", Uploads.as_view(), name="uploads"),
    path("uploads/<str:upload_id>", UploadDetail.as_view(), name="upload"),
]
