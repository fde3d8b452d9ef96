"""Pause dispatching."""

import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations import dispatch_pauses
from operations.actors import Actor

QUIET_TIMEOUT_S = 60.0


class Command(BaseCommand):
    help = "Start no operation until the pause ends: what runs goes on, what is submitted waits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reason", help="shown on every page and with what waits")
        parser.add_argument("--hours", type=float, help="default: until resume_dispatching")
        parser.add_argument(
            "--read-only",
            action="store_true",
            help="also refuse every change; returns when what was being written is stored",
        )
        parser.add_argument("--json", action="store_true", help="print the pause as JSON")

    def handle(
        self, *args: Any, reason: str, hours: float | None, read_only: bool, json: bool, **options: Any
    ) -> None:
        if not 0 < len(reason.strip()) <= 200:
            raise CommandError("the reason must have 1 to 200 characters")
        if hours is not None and not 0 < hours <= dispatch_pauses.MAX_HOURS:
            raise CommandError(f"--hours must be above 0 and at most {dispatch_pauses.MAX_HOURS}")
        pause = dispatch_pauses.begin(
            Actor("command:pause_dispatching"), reason.strip(), hours, read_only=read_only
        )
        if read_only and not dispatch_pauses.wait_until_quiet(QUIET_TIMEOUT_S):
            raise CommandError(
                f"a transaction still writes after {QUIET_TIMEOUT_S:.0f} s; the site is read-only for everything else"
            )
        ends_at = pause.ends_at and pause.ends_at.isoformat(timespec="seconds")
        if json:
            state = {"paused": True, "read_only": read_only, "reason": pause.reason, "ends_at": ends_at}
            self.stdout.write(encoding.dumps(state))
        else:
            what = "The site is read-only" if read_only else "Dispatching is paused"
            self.stdout.write(f"{what} until {ends_at or 'resume_dispatching'}.")
