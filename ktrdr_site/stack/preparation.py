"""Prepares the site before it serves: schema, static files, a first user and the secrets."""

import hashlib
import secrets
import time
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import NotSupportedError, OperationalError, connection

from ktrdr_site.models import ApiToken
from ktrdr_site.site_secrets import secret_file
from ktrdr_site.stack import migration_record

ADMIN = "admin"
EMBEDDED = "ktrdr_site.embedded"
RETRY_S = 1.0


class NotReadyError(Exception):
    """The site cannot start. The message is one sentence for people."""


def allow_creation() -> None:
    """Let this process create the embedded database if there is none."""
    if settings.DATABASES["default"]["ENGINE"] == EMBEDDED:
        connection.settings_dict["OPTIONS"]["may_create"] = True


def connect(wait_s: float = 0.0) -> None:
    """Start or create the embedded database, or wait until the external one responds and check its version.

    Raises NotReadyError.
    """
    allow_creation()
    deadline = time.monotonic() + wait_s
    while True:
        try:
            connection.ensure_connection()
        except NotSupportedError as error:
            raise NotReadyError(f"the database cannot be used: {_one_line(error)}") from error
        except OperationalError as error:
            if time.monotonic() >= deadline:
                raise NotReadyError(f"the database cannot be reached: {_one_line(error)}") from error
            time.sleep(RETRY_S)
        else:
            return


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def prepare(data_dir: Path) -> None:
    prepare_database(data_dir)
    collect_static(data_dir)


def prepare_database(data_dir: Path) -> None:
    """Bring the schema up to date and create the first user."""
    if not migration_record.is_current():
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        migration_record.record()
    create_admin(data_dir)
    connection.close()


def create_admin(data_dir: Path) -> None:
    """Create the user `admin`, with the password and an API token in files of mode 0600."""
    users = get_user_model().objects
    user = users.filter(username=ADMIN).first()
    if user is None:
        password = secret_file(data_dir / "admin-password", lambda: secrets.token_urlsafe(12))
        user = users.create_superuser(ADMIN, password=password)
    token_file = data_dir / "api-token"
    if not token_file.exists():
        secret_file(token_file, lambda: ApiToken.issue(user, "first start"))


def worker_token(data_dir: Path) -> str:
    return settings.WORKER_TOKEN or secret_file(data_dir / "worker-token", lambda: secrets.token_urlsafe(32))


def collect_static(data_dir: Path) -> None:
    """Collect static files, unless none has changed since the last time: hashing and compressing takes seconds."""
    stamp = data_dir / "static.stamp"
    fingerprint = _static_fingerprint()
    if stamp.exists() and stamp.read_text() == fingerprint:
        return
    call_command(
        "collectstatic",
        interactive=False,
        verbosity=0,
        skip_checks=True,
        clear=True,
        ignore_patterns=["redoc"],
    )
    stamp.write_text(fingerprint)


def _static_fingerprint() -> str:
    digest = hashlib.sha256(f"{version('whitenoise')} {settings.STATIC_ROOT}".encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            file = Path(storage.path(path)).stat()
            digest.update(f"{path} {file.st_size} {file.st_mtime_ns}\n".encode())
    return digest.hexdigest()
