from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from access.actors import Actor
from ktrdr_site.second_factor import factors


class Command(BaseCommand):
    help = "Remove the second factor of a user who lost it, and end the user's sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user")

    def handle(self, *args: Any, user: str, **options: Any) -> None:
        owner = User.objects.filter(username=user).first()
        if owner is None:
            raise CommandError(f"user {user} does not exist")
        if not factors.reset(owner, Actor("command:reset_second_factor")):
            raise CommandError(f"{user} has no second factor")
        self.stdout.write(f"The second factor of {user} is removed, and the sessions have ended.")
