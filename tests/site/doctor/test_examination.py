"""`manage.py doctor`: a healthy site has no findings; problems end with status 1."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django.live_server_helper import LiveServer

from ktrdr_site.doctor import disk, site
from ktrdr_site.doctor.examination import checks, examine

database_needed = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_a_healthy_site_has_no_findings(
    healthy: None, dispatching: None, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(disk, "LOW_FREE", 0)
    monkeypatch.setattr(site, "TIMEOUT_S", 60)  # its first response loads every view
    assert examine(live_server.url) == []
    call_command("doctor", url=live_server.url)
    assert capsys.readouterr().out == f"No problems found ({len(checks(live_server.url))} checks).\n"


@database_needed
def test_problems_end_with_status_1_and_warnings_do_not(
    healthy: None, dispatching: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(disk, "LOW_FREE", 10**18)
    monkeypatch.setattr(site, "responds", lambda url: iter(()))
    call_command("doctor", as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is True
    assert [(f["check"], f["severity"]) for f in report["findings"]] == [("data directory", "warning")]
    monkeypatch.setattr(disk, "MIN_FREE", 10**18)
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("problem (data directory): ")
    assert printed[1].startswith("    Free some space")
    assert printed[-1] == "1 problem, 0 warnings."
