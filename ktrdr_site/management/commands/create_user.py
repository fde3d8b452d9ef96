import json as encoding
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.actors import Actor
from access.roles import Role
from ktrdr_site.accounts import people


class Command(BaseCommand):
    help = "Create a user with a role, and print the generated password. It is shown once: only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", choices=[role.group for role in Role], default=Role.VIEWER.group)
        parser.add_argument("--json", action="store_true", help="print user, role and password as JSON")

    def handle(self, *args: Any, name: str, role: str, json: bool, **options: Any) -> None:
        try:
            password = people.create(name, Role[role.upper()], Actor("command:create_user"))
        except people.AccountProblem as error:
            raise CommandError(str(error)) from error
        created = {"user": name, "role": role, "password": password}
        self.stdout.write(encoding.dumps(created) if json else password)
