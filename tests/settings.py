"""Settings of the tests: the site's own, on a data directory that is gone afterwards."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_directory = Path(tempfile.mkdtemp(prefix="ktrdr-tests-"))
(_directory / "static").mkdir()
os.environ["KTRDR_DATA_DIR"] = str(_directory)
os.environ.setdefault("KTRDR_WORKER_TOKEN", "enrolment-token-of-the-tests")

from ktrdr_site.embedded.lease import release  # noqa: E402
from ktrdr_site.settings import *  # noqa: E402, F403


def _remove() -> None:
    release(_directory / "postgres", wait_s=10)
    shutil.rmtree(_directory, ignore_errors=True)


atexit.register(_remove)

DATABASES["default"]["OPTIONS"]["may_create"] = True  # noqa: F405
# Tests lose nothing by a power cut, so no commit waits for the disk.
DATABASES["default"]["OPTIONS"]["options"] = "-c synchronous_commit=off"  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Tests collect nothing: a page names its static files as they lie in the tree.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A test that makes the site read-only sees it with the next request, and each test counts the same queries.
WRITABLE_CACHE_S = SCHEMAS_CACHE_S = 0.0
