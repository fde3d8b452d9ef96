import json as encoding
import sys
from argparse import ArgumentParser
from getpass import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from pydantic import ValidationError

from access.actors import Actor
from registry import worker_secrets
from registry.api.secrets import NAME, SecretRequest
from registry.models import WorkerSecret
from worker_agent.validation_messages import problems_of


class Command(BaseCommand):
    help = "Store a secret for jobs, or change its value or its worker types. The value is asked for, or read from a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="name under which jobs find it")
        parser.add_argument(
            "--worker-type",
            action="append",
            help="worker type whose jobs may read it (repeatable; replaces the stored ones)",
        )
        parser.add_argument("--file", help="read the value from this file; - is the standard input")
        parser.add_argument("--keep-value", action="store_true", help="change only the worker types")
        parser.add_argument("--json", action="store_true", help="print name and worker types as JSON")

    def handle(
        self,
        *args: Any,
        name: str,
        worker_type: list[str] | None,
        file: str | None,
        keep_value: bool,
        json: bool,
        **options: Any,
    ) -> None:
        value = None if keep_value else _read(file, name)
        try:
            secret_request = SecretRequest.model_validate({"value": value, "worker_types": worker_type})
            secret, _ = worker_secrets.save(
                NAME.validate_python(name),
                None if secret_request.value is None else secret_request.value.get_secret_value(),
                secret_request.worker_types,
                Actor("command:set_secret"),
            )
        except ValidationError as error:
            raise CommandError("; ".join(problem["detail"] for problem in problems_of(error))) from None
        except WorkerSecret.DoesNotExist as error:
            raise CommandError(
                f"The secret {name} does not exist. Omit --keep-value to create it."
            ) from error
        if json:
            self.stdout.write(encoding.dumps({"name": secret.name, "worker_types": secret.worker_types}))
        else:
            readers = ", ".join(secret.worker_types) or "none"
            self.stdout.write(f"{secret.name} is stored; worker types that may read it: {readers}")


def _read(file: str | None, name: str) -> str:
    """Return the value without its last line break. It never comes from an argument, which every user could see."""
    if file is None:
        return getpass(f"Value of {name}: ")
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"Could not read {file}: {error}") from error
    return text.removesuffix("\n")
