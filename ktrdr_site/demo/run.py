"""Runs the demo against a site and shows its result."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import httpx
from django.conf import settings

from ktrdr_site.demo.sample_data import NoSampleDataError
from ktrdr_site.demo.scenario import STRATEGY, STUDIED, STUDY, Demo, DemoError, Results, Steps, Texts
from ktrdr_site.demo.summary import summarize, summarize_study

TIMEOUT_S = 30


class Lines(Protocol):
    def show(self, line: str = "") -> None:
        """Print one line."""


@asynccontextmanager
async def open_demo(url: str, token: str, steps: Steps) -> AsyncIterator[Demo]:
    """Connect to the site. Every failure inside is raised as DemoError."""
    texts = Texts(*((settings.BASE_DIR / path).read_text() for path in (STRATEGY, STUDIED, STUDY)))
    headers = {"Authorization": f"Bearer {token}"}
    try:
        # No proxy: the site is on this machine or in its network.
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False
        ) as http:
            yield Demo(http, steps, texts)
    except NoSampleDataError as error:
        raise DemoError(str(error)) from error
    except httpx.HTTPError as error:
        raise DemoError(f"{url} does not respond ({error})", "web") from error


def show_result(terminal: Lines, url: str, results: Results) -> None:
    terminal.show()
    for line in [*summarize(results.backtest["result"]), "", *summarize_study(results.study)]:
        terminal.show(f"  {line}" if line else "")
    terminal.show()
    terminal.show(f"  Study      {url}/dashboard/studies/{results.study['study_id']}")
    terminal.show(f"  Report     {url}/dashboard/operations/{results.backtest['operation_id']}")
