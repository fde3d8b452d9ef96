"""Files that people send with a form or to the API."""

from http import HTTPStatus
from typing import Any

from django.core.files import File

from access.problems import Problem
from operations import artifacts
from operations.models import StoredFile

MAX_FILE_BYTES = 1024**3
"""Maximum size of a file."""


def require_size(file: "File[Any]") -> None:
    """Raise Problem if the file is too large."""
    if (file.size or 0) > MAX_FILE_BYTES:
        raise Problem(
            f"A file may have at most {MAX_FILE_BYTES} bytes.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        )


def keep(file: "File[Any]") -> StoredFile:
    """Store the file. Raises Problem if the disk is full."""
    try:
        return artifacts.put(file.chunks())
    except artifacts.NoSpace as error:
        raise Problem(str(error), status=HTTPStatus.INSUFFICIENT_STORAGE) from error
