from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.models import ApiToken


class Command(BaseCommand):
    help = "Print a new API token for a user. It is shown once: only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--name", default="", help="what the token is for")

    def handle(self, *args: Any, user: str, name: str, **options: Any) -> None:
        found = get_user_model().objects.filter(username=user).first()
        if found is None:
            raise CommandError(f"there is no user {user}")
        self.stdout.write(ApiToken.issue(found, name))
