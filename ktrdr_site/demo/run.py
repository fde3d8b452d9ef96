"""Runs the demo against a site and shows its result."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import httpx
from django.conf import settings

from ktrdr_site.demo.sample_data import NoSampleDataError
from ktrdr_site.demo.scenario import STRATEGY, Demo, DemoError, Steps
from ktrdr_site.demo.summary import summarize

TIMEOUT_S = 30


class Lines(Protocol):
    def show(self, line: str = "") -> None:
        """Print one line."""


@asynccontextmanager
async def open_demo(url: str, token: str, steps: Steps) -> AsyncIterator[Demo]:
    """Connect to the site. Every failure inside is raised as DemoError."""
    strategy = (settings.BASE_DIR / STRATEGY).read_text()
    headers = {"Authorization": f"Bearer {token}"}
    try:
        # No proxy: the site is on this machine or in its network.
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False
        ) as http:
            yield Demo(http, steps, strategy)
    except NoSampleDataError as error:
        raise DemoError(str(error)) from error
    except httpx.HTTPError as error:
        raise DemoError(f"{url} does not respond ({error})", "web") from error


def show_result(terminal: Lines, url: str, backtest: dict[str, Any]) -> None:
    terminal.show()
    for line in summarize(backtest["result"]):
        terminal.show(f"  {line}")
    terminal.show()
    terminal.show(f"  Report     {url}/dashboard/operations/{backtest['operation_id']}")
