"""Room in the data directory, and whether what should lie there does."""

import os
import shutil
from collections.abc import Iterator

from django.conf import settings

from ktrdr_site.doctor.finding import Finding, problem, warning
from operations import artifacts as files
from operations.models import StoredFile

GIB = 1024**3
LEAST_FREE, SOON_FULL = 1 * GIB, 5 * GIB
LEAST_FILES = 10_000
LOOKED_AT = 200


def room() -> Iterator[Finding]:
    directory = settings.DATA_DIR
    free = shutil.disk_usage(directory).free
    remedy = "Make room, or move it: set KTRDR_DATA_DIR to a larger disk and copy the directory there."
    if free < LEAST_FREE:
        yield problem(
            "data directory",
            f"{free / GIB:.2f} GiB are free at {directory}: uploads and results are refused when it is full.",
            remedy,
        )
    elif free < SOON_FULL:
        yield warning("data directory", f"Only {free / GIB:.1f} GiB are free at {directory}.", remedy)
    status = os.statvfs(directory)
    if status.f_files > 0 and status.f_favail < LEAST_FILES:
        yield problem(
            "data directory",
            f"The disk at {directory} has room for only {status.f_favail} more files, however small.",
            remedy,
        )


def artifacts() -> Iterator[Finding]:
    """Of the newest files that the database knows."""
    newest = StoredFile.objects.order_by("-created_at").values_list("sha256", flat=True)[:LOOKED_AT]
    missing = [sha256 for sha256 in newest if not files.path_of(sha256).exists()]
    if missing:
        yield problem(
            "artifacts",
            f"{len(missing)} of the newest {len(newest)} stored files are missing on disk, {missing[0][:12]} among them.",
            f"Is {settings.DATA_DIR} the data directory that belongs to this database? Restore it from the backup.",
        )
