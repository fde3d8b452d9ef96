import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from ktrdr_site.accounts.api_tokens import MAX_DAYS
from ktrdr_site.models import ApiToken


class Command(BaseCommand):
    help = "Print a new API token for a user. It is shown once: only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--name", default="", help="purpose of the token")
        parser.add_argument(
            "--scope",
            choices=ApiToken.Scope.values,
            default=ApiToken.Scope.FULL,
            help="the most that it may do",
        )
        parser.add_argument("--days", type=float, metavar="N", help="expires after N days (default: never)")
        parser.add_argument("--json", action="store_true", help="print user, name and token as JSON")

    def handle(self, *args: Any, user: str, name: str, json: bool, **options: Any) -> None:
        days: float | None = options["days"]
        if days is not None and not 0 < days <= MAX_DAYS:
            raise CommandError(f"--days {days:g} must be above 0 and at most {MAX_DAYS}")
        owner = get_user_model().objects.filter(username=user).first()
        if owner is None:
            raise CommandError(f"user {user} does not exist")
        actor = Actor("command:create_api_token")
        with transaction.atomic():
            token = ApiToken.issue(owner, name, options["scope"], days)
            audit.record(AuditEntry.Act.API_TOKEN_CREATED, f"{name or 'token'} of {owner}"[:200], actor)
        created = {"user": owner.get_username(), "name": name, "token": token}
        self.stdout.write(encoding.dumps(created) if json else token)
