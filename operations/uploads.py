"""Files that users upload as inputs of operations: stored once, owned, limited per user, and removed when they expire."""

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import QuerySet, Sum
from django.db.models.functions import Now

from access.problems import Problem, invalid
from access.roles import Role, role_of
from operations import received_files
from operations.models import Upload
from worker_agent.values import escape

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MEGABYTE = 1_000_000
MAX_NAME = 200


class NotOwner(Exception):
    """Only its owner and staff may delete an upload."""


def current() -> QuerySet[Upload]:
    """Return the uploads that have not expired."""
    return Upload.objects.filter(expires_at__gt=Now())


def find(upload_id: str) -> Upload | None:
    """Return the upload if it exists and has not expired; `upload_id` may be any text."""
    return current().filter(pk=upload_id.replace("\0", "")).first()


def store(file: Any, user: "User") -> Upload:
    """Store a file of a form; the same file under the same name is the same upload, which then expires later.

    Raises Problem if it or all uploads of the user are too large, or the disk is full.
    """
    name = escape(file.name or "upload").replace("\\", "/").rpartition("/")[2][-MAX_NAME:] or "upload"
    size = file.size or 0
    if size == 0:
        raise invalid("/file", "The file is empty.")
    received_files.require_size(file)
    _require_room(size, user)
    stored = received_files.keep(file)
    expires_at = Now() + timedelta(days=settings.UPLOAD_RETENTION_DAYS)
    upload, _ = Upload.objects.update_or_create(
        created_by=user, file=stored, name=name, defaults={"expires_at": expires_at}
    )
    upload.refresh_from_db()
    return upload


def _require_room(size: int, user: "User") -> None:
    """Raise Problem if the user may not have so many more bytes. Files that arrive at the same moment may exceed the limit."""
    limit = settings.MAX_UPLOAD_MB_PER_USER * MEGABYTE
    used = current().filter(created_by=user).aggregate(bytes=Sum("file__size"))["bytes"] or 0
    if limit and used + size > limit:
        raise Problem(
            f"Your uploads may have {settings.MAX_UPLOAD_MB_PER_USER:,} MB together; they have {used // MEGABYTE:,} MB. "
            "Delete some with DELETE /uploads/{id}, or wait until they expire.",
            status=HTTPStatus.INSUFFICIENT_STORAGE,
        )


def remove(upload: Upload, user: "User") -> None:
    """Delete the upload. Operations that were submitted with it keep its content. Raises NotOwner."""
    if upload.created_by_id != user.pk and role_of(user) < Role.STAFF:
        raise NotOwner(f"Only {upload.created_by.get_username()} and staff may delete this upload.")
    Upload.objects.filter(pk=upload.pk).delete()


def remove_expired() -> int:
    """Remove the uploads that have expired; return how many. The cleanup then removes files that nothing refers to."""
    return find_expired().delete()[0]


def find_expired() -> QuerySet[Upload]:
    return Upload.objects.filter(expires_at__lte=Now())
