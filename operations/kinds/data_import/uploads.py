"""The file and the fields of an import or its preview, as a client sends them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from rest_framework.request import Request

from access.problems import invalid, validate
from operations import received_files
from operations.kinds.data_import.request import ImportRequest
from operations.models import Artifact, Operation, StoredFile

PREVIEW_TYPE = "data_preview"


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file and how to read it."""

    request: ImportRequest
    fields: Mapping[str, Any]
    """As sent, for the idempotency key."""
    file: StoredFile
    filename: str


def receive(request: Request) -> Upload:
    """Validate the fields and store the file, or find that of a preview. Raises Problem."""
    data = request.data if isinstance(request.data, Mapping) else {}
    upload = request.FILES.get("file")
    preview = str(data.get("preview") or "")
    if not isinstance(upload, UploadedFile) and not preview:
        raise invalid("/file", "Send the file as multipart/form-data, in a field `file`.")
    if isinstance(upload, UploadedFile):
        received_files.require_size(upload)
    fields = {name: value for name, value in data.items() if name in ImportRequest.model_fields}
    import_request = validate(ImportRequest, fields)
    if not isinstance(upload, UploadedFile):
        return Upload(import_request, fields, *_file_of_preview(preview, request))
    return Upload(import_request, fields, received_files.keep(upload), upload.name or "upload")


def _file_of_preview(operation_id: str, request: Request) -> tuple[StoredFile, str]:
    """Return the file that the same person previewed, and its name. Raises Invalid."""
    previews = Operation.objects.filter(
        pk=operation_id.replace("\x00", ""), operation_type=PREVIEW_TYPE, created_by_id=request.user.pk
    )
    operation = previews.first()
    raw = (
        Artifact.objects.filter(operation=operation, role=Artifact.Role.INPUT, name="raw")
        .select_related("file")
        .first()
        if operation
        else None
    )
    if operation is None or raw is None:
        raise invalid(
            "/preview", "This preview does not exist, or its file was removed; send the file again."
        )
    return raw.file, str(operation.parameters.get("filename", ""))
