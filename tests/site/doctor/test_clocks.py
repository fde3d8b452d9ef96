"""Clocks that are off are found."""

from typing import Any

import pytest
from aiohttp import web

from ktrdr_site.doctor import clocks, workers
from ktrdr_site.doctor.finding import Severity
from tests.registry.conftest import Neighbour
from tests.site.doctor.findings import only

database_needed = pytest.mark.django_db


@database_needed
def test_a_database_whose_clock_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(clocks.database_clock()) == []
    real = clocks.now_s
    monkeypatch.setattr(clocks, "now_s", lambda: real() - 3600)
    finding = only(clocks.database_clock(), Severity.WARNING)
    assert "is 3600 s ahead of this machine's" in finding.problem


@database_needed
def test_a_worker_whose_clock_is_off_is_found_by_its_date_header(neighbour: Neighbour) -> None:
    async def in_2001(_: web.Request, honest: Any) -> web.StreamResponse:
        response = await honest()
        response.headers["Date"] = "Mon, 01 Jan 2001 00:00:00 GMT"
        return response

    async def nonsense(_: web.Request, honest: Any) -> web.StreamResponse:
        response = await honest()
        response.headers["Date"] = "yesterday"
        return response

    neighbour("w-1").instead["health"].extend([in_2001, nonsense])
    finding = only(workers.reachable(), Severity.WARNING)
    assert "The clock of w-1 is" in finding.problem
    assert "behind this machine's" in finding.problem
    assert list(workers.reachable()) == [], "a worker may send no date at all"
