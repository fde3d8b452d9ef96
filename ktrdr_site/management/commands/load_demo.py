import asyncio
import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ktrdr_site.demo.run import open_demo, show_result
from ktrdr_site.demo.scenario import SUMMARY, DemoError
from ktrdr_site.stack.terminal import terminal_for


class Command(BaseCommand):
    help = "Import the sample data, train the example strategy and backtest it. The site and its workers must run."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--api-url",
            default=os.environ.get("KTRDR_API_URL", "http://127.0.0.1:8000"),
            help="where the site runs (KTRDR_API_URL, else %(default)s)",
        )

    def handle(self, *args: Any, api_url: str, **options: Any) -> None:
        token = settings.DATA_DIR / "api-token"
        if not token.exists():
            raise CommandError(f"{token} does not exist; `manage.py up` and `manage.py prepare` create it")
        try:
            asyncio.run(_run(api_url, token.read_text().strip()))
        except DemoError as error:
            raise CommandError(f"the demo failed: {error}") from error


async def _run(url: str, token: str) -> None:
    terminal = terminal_for(sys.stdout)
    async with terminal.animate(), open_demo(url, token, terminal) as demo:
        terminal.show(SUMMARY)
        show_result(terminal, url, await demo.run(await demo.start_imports()))
