#!/usr/bin/env python
"""KTRDR's command line: `manage.py help`."""

import os
import sys

UNDEFINED_TABLE = "42P01"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ktrdr_site.settings")
    _take_data_dir(sys.argv)
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import NotSupportedError, OperationalError, ProgrammingError

    try:
        settings.INSTALLED_APPS  # noqa: B018  (reads the settings: a wrong one is a sentence here, not a traceback)
    except ImproperlyConfigured as error:
        sys.exit(f"KTRDR cannot start: {error}")
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


def _take_data_dir(arguments: list[str]) -> None:
    """`up --data-dir D`: the settings read it, and so it must be known before there are any commands."""
    if arguments[1:2] != ["up"]:
        return
    for position, argument in enumerate(arguments):
        name, mark, value = argument.partition("=")
        if name == "--data-dir":
            os.environ["KTRDR_DATA_DIR"] = value if mark else "".join(arguments[position + 1 : position + 2])


if __name__ == "__main__":
    main()
