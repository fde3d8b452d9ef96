"""Free space in the data directory, and whether stored files are there."""

import os
import shutil
from collections.abc import Iterator

from django.conf import settings

from ktrdr_site.doctor.finding import Finding, problem, warning
from operations import artifacts as files
from operations.models import StoredFile

GIB = 1024**3
MIN_FREE, LOW_FREE = 1 * GIB, 5 * GIB
MIN_FREE_FILES = 10_000
SAMPLE_SIZE = 200


def free_space() -> Iterator[Finding]:
    directory = settings.DATA_DIR
    free = shutil.disk_usage(directory).free
    remedy = "Free some space, or copy the directory to a larger disk and set KTRDR_DATA_DIR."
    if free < MIN_FREE:
        yield problem(
            "data directory",
            f"Only {free / GIB:.2f} GiB are free at {directory}; uploads and results fail when it is full.",
            remedy,
        )
    elif free < LOW_FREE:
        yield warning("data directory", f"Only {free / GIB:.1f} GiB are free at {directory}.", remedy)
    status = os.statvfs(directory)
    if status.f_files > 0 and status.f_favail < MIN_FREE_FILES:
        yield problem(
            "data directory",
            f"The file system of {directory} can hold only {status.f_favail} more files (inodes).",
            remedy,
        )


def artifacts() -> Iterator[Finding]:
    """Check that the newest stored files are there, and report those that the cleanup found damaged."""
    newest = StoredFile.objects.order_by("-created_at").values_list("sha256", flat=True)[:SAMPLE_SIZE]
    missing = [sha256 for sha256 in newest if not files.exists(sha256)]
    if missing:
        yield problem(
            "artifacts",
            f"{len(missing)} of the newest {len(newest)} stored files are missing, for example {missing[0][:12]}.",
            f"Check that {settings.DATA_DIR} is the data directory of this database. Restore missing files from a backup.",
        )
    damaged = StoredFile.objects.filter(damaged_at__isnull=False).order_by("damaged_at")
    if number := damaged.count():
        yield problem(
            "artifacts",
            f"{number} stored files are missing or damaged, for example {damaged[0].pk[:12]}.",
            "Check the disk or the object storage, and restore these files from a backup.",
        )
