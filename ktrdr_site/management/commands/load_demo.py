import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ktrdr_site import demo
from ktrdr_site.demo_report import report
from ktrdr_site.sample_data import NoSampleDataError

TIMEOUT_S = 30


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
            raise CommandError(f"{token} is not there; start the site with `manage.py up` first")
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
        strategy = Path(settings.BASE_DIR / demo.STRATEGY).read_text()
        # No proxy: the site is on this machine or in its network.
        with httpx.Client(base_url=api_url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as http:
            try:
                finished = demo.Demo(http, self._say, strategy).run()
            except (demo.DemoError, NoSampleDataError) as error:
                raise CommandError(f"the demo failed: {error}") from error
            except httpx.HTTPError as error:
                raise CommandError(f"the demo failed: {api_url} does not answer ({error})") from error
        for line in report(finished["result"]):
            self._say(line)
        self._say(f"all of it: {api_url}/dashboard/operations/{finished['operation_id']}")

    def _say(self, line: str) -> None:
        self.stdout.write(f"demo: {line}")
        self.stdout.flush()
