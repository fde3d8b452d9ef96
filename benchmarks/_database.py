"""Django in the process of a benchmark, on the database of a data directory."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def set_up_django(data: Path) -> None:
    """Use the database in `data`. Models can be imported only afterwards."""
    os.environ |= {"DJANGO_SETTINGS_MODULE": "ktrdr_site.settings", "KTRDR_DATA_DIR": str(data)}
    import django

    django.setup()


@contextmanager
def own_database() -> Iterator[None]:
    """Set up Django on a migrated database of its own, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as directory:
        set_up_django(Path(directory) / "var")
        from django.core.management import call_command
        from django.db import connections

        from ktrdr_site.stack import preparation

        preparation.connect()
        call_command("migrate", verbosity=0)
        yield
        connections.close_all()
