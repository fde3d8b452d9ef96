#!/usr/bin/env python
"""KTRDR's command line: `manage.py help`."""

import gc
import os
import sys
from pathlib import Path

from ktrdr_site.packages import leave_out
from worker_agent.program import harden_process

UNDEFINED_TABLE = "42P01"


def main() -> None:
    harden_process()
    leave_out()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ktrdr_site.settings")
    os.environ.setdefault("DJANGO_COLORS", "nocolor")  # escape sequences are shown, not sent
    _export_data_dir(sys.argv)
    gc.disable()  # loading leaves hardly any garbage, and looking for it takes an eighth of the time
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import NotSupportedError, OperationalError, ProgrammingError

    try:
        if sys.argv[1:2] == ["up"]:
            _begin_database()
        django.setup()  # here, so that an invalid setting is reported as a sentence, not a traceback
    except ImproperlyConfigured as error:
        sys.exit(f"KTRDR cannot start: {error}")
    gc.freeze()
    gc.enable()
    try:
        execute_from_command_line(sys.argv)
    except (OperationalError, NotSupportedError) as error:
        sys.exit(f"the database cannot be used: {' '.join(str(error).split())}")
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) != UNDEFINED_TABLE:
            raise
        sys.exit("the database has no tables yet: run manage.py migrate, or start the site with manage.py up")
    except KeyboardInterrupt:
        sys.exit(130)


def _export_data_dir(arguments: list[str]) -> None:
    """Set KTRDR_DATA_DIR from `up --data-dir D`: the settings read it before any command is loaded."""
    if arguments[1:2] != ["up"]:
        return
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--data-dir":
            os.environ["KTRDR_DATA_DIR"] = (
                value if equals else "".join(arguments[position + 1 : position + 2])
            )


def _begin_database() -> None:
    """Start the embedded PostgreSQL, if this site uses it, while the apps are loaded."""
    from django.conf import settings

    from ktrdr_site.embedded import lease

    directory = settings.DATABASES["default"]["OPTIONS"].get("server_directory")
    if directory is not None:
        lease.begin(Path(directory))


if __name__ == "__main__":
    main()
