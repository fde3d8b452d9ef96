"""Remembers in the database which migrations have been applied completely, so that a later start can skip `migrate`.

`migrate` builds all models in memory and creates permissions and groups again, which takes half a second. The record is
the comment of Django's own table: it exists in the database that it is about, and a restored database has none.
"""

import hashlib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import structlog
from django.apps import apps
from django.db import ProgrammingError, connection
from django.db.migrations.recorder import MigrationRecorder

log = structlog.get_logger(__name__)

PACKAGES = ("Django", "django-q2")
GROUPS = ("access.roles", "ktrdr_site.accounts.groups")
"""Create the groups after `migrate`."""


def is_current() -> bool:
    """Whether the database was migrated by exactly these migrations, and none has been applied or taken back since."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regclass('django_migrations'), 'pg_class')")
        return bool(cursor.fetchone()[0] == _fingerprint())


def record() -> None:
    """Record the migrations after `migrate`, if this user owns the table."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"COMMENT ON TABLE django_migrations IS '{_fingerprint()}'")
    except ProgrammingError as error:
        log.info("could not record the migrations; each start checks them", reason=str(error).strip())


def _fingerprint() -> str:
    """Return a SHA-256 of the sources of all migrations, of the groups, and of the rows of applied migrations."""
    digest = hashlib.sha256(" ".join(version(name) for name in PACKAGES).encode())
    for path in sorted(_sources()):
        digest.update(f"{path.parent.parent.name}/{path.name}\n".encode())
        digest.update(path.read_bytes())
    for label, name in sorted(MigrationRecorder(connection).applied_migrations()):
        digest.update(f"{label} {name}\n".encode())
    return digest.hexdigest()


def _sources() -> list[Path]:
    own = [Path(spec.origin) for name in GROUPS if (spec := find_spec(name)) and spec.origin]
    return [
        *own,
        *(path for app in apps.get_app_configs() for path in Path(app.path).glob("migrations/*.py")),
    ]
