#!/usr/bin/env python
"""KTRDR's command line: `manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ktrdr_site.settings")
    _take_data_dir(sys.argv)
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        settings.INSTALLED_APPS  # noqa: B018  (reads the settings: a wrong one is a sentence here, not a traceback)
    except ImproperlyConfigured as error:
        sys.exit(f"KTRDR cannot start: {error}")
    execute_from_command_line(sys.argv)


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
