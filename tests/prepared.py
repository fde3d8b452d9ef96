"""The database of a site that was migrated and never used: test databases and systems start from a copy of it.

To apply all migrations Django computes for several seconds, and a run of all tests needs a dozen databases. It is made
once for these migrations, and kept for later runs. A test of the first start itself takes no copy.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ktrdr_site.embedded import cluster
from ktrdr_site.stack import migration_record

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".pytest_cache" / "databases"
MIGRATE = """
import sys
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from ktrdr_site.embedded.lease import release
from ktrdr_site.stack import migration_record, preparation
preparation.connect()
call_command("migrate", verbosity=0)
migration_record.record()
connection.close()
sys.exit(not release(settings.DATA_DIR / "postgres", wait_s=60))
"""


def place(data_dir: Path) -> None:
    """Copy the database into a data directory that has none."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        source = KEPT / _fingerprint()
        if not source.exists():
            _make(source)
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = data_dir / "postgres"
        target.mkdir(mode=0o700)
        # The copy belongs to the account of the server, like the original.
        subprocess.run(["cp", "-a", source / cluster.CLUSTER, target / cluster.CLUSTER], check=True)


def _fingerprint() -> str:
    """Return a SHA-256 of the sources from which the database is made."""
    digest = hashlib.sha256(MIGRATE.encode())
    for path in (Path(cluster.__file__), *sorted(migration_record._sources())):
        digest.update(f"{path.parent.parent.name}/{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _make(source: Path) -> None:
    """Make the database in `source`, and remove those of other migrations."""
    for other in KEPT.iterdir():
        if other.is_dir():
            shutil.rmtree(other)
    data_dir = KEPT / "new"
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("KTRDR_", "DJANGO_"))
    }
    environment |= {"KTRDR_DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "ktrdr_site.settings"}
    subprocess.run([sys.executable, "-c", MIGRATE], cwd=ROOT, env=environment, check=True)
    (data_dir / "postgres").rename(source)
    shutil.rmtree(data_dir)
