import asyncio
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.processes.guard import Guard
from ktrdr_site.stack import preparation
from ktrdr_site.stack.preloading import Nurseries
from ktrdr_site.stack.preparation import NotReadyError
from ktrdr_site.stack.services import Plan, other_hosts
from ktrdr_site.stack.up import run
from worker_agent.program import forbid_inspection

DEFAULT_WORKERS = "training=1,backtesting=2"


class Command(BaseCommand):
    help = "Start everything on this machine: database, web server, schedules, dispatcher and workers."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address of the web server (%(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="port of the web server (%(default)s)")
        # manage.py also reads it: the settings need it before this command is loaded.
        parser.add_argument("--data-dir", help="directory of all data (KTRDR_DATA_DIR, else var)")
        parser.add_argument(
            "--workers", default=DEFAULT_WORKERS, help="number of workers by type (%(default)s)"
        )
        parser.add_argument(
            "--dispatchers", type=_positive, default=1, help="number of dispatchers (%(default)s)"
        )
        parser.add_argument(
            "--web", type=_positive, default=2, help="number of processes of the web server (%(default)s)"
        )
        parser.add_argument(
            "--no-demo", action="store_true", help="no sample data and no demo on the first start"
        )
        parser.add_argument(
            "--exit-after-demo",
            action="store_true",
            help="run the demo, then stop; exit status 1 if it failed",
        )
        parser.add_argument(
            "--verbose", action="store_true", help="also show the full logs of all processes on the terminal"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        forbid_inspection()  # jobs run as the same user, and this environment may contain the enrolment token
        plan = Plan(
            host=options["host"],
            port=options["port"],
            data_dir=Path(settings.DATA_DIR),
            workers=_worker_counts(options["workers"]),
            dispatchers=options["dispatchers"],
            web_processes=options["web"],
            demo=not options["no_demo"],
            exit_after_demo=options["exit_after_demo"],
            verbose=options["verbose"],
        )
        if plan.exit_after_demo and not plan.demo:
            raise CommandError("--exit-after-demo and --no-demo cannot be combined")
        settings.WORKER_TOKEN = preparation.worker_token(plan.data_dir)  # made before the servers read it
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, *other_hosts(plan.host)]
        nurseries = Nurseries.start(plan)
        guard = Guard(settings.BASE_DIR)
        try:
            status = asyncio.run(run(plan, nurseries, guard))
        except NotReadyError as error:
            raise CommandError(f"KTRDR cannot start: {error}") from error
        finally:
            nurseries.close()
            guard.dismiss()
        sys.stdout.flush()
        if status:
            raise SystemExit(status)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text[:80]} is not a whole number of at least 1")
    return int(text)


def _worker_counts(text: str) -> dict[str, int]:
    """Parse `training=1,backtesting=2`; an empty text means no workers."""
    counts: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        if name not in {"training", "backtesting"} or not number.isdigit():
            raise CommandError(f"--workers {text} is invalid; use the form {DEFAULT_WORKERS}")
        counts[name] = int(number)
    return counts
