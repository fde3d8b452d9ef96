"""Seed runs and schedules in the client and the command: bodies, the end of a wait, exit statuses and tables."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from ktrdr_client import Client, OperationFailed

from tests.client.command_line import ESCAPES, answering, run
from tests.client.documented_site import RUN, SCHEDULE, DocumentedSite, SeedRunSite

STRATEGY = "name: a\n"


def test_a_strategy_of_a_submission_may_be_a_file_and_a_date_a_date(
    client: Client, site: DocumentedSite, tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(STRATEGY)
    operation = {"operation_type": "training", "strategy_yaml": file, "end_date": date(2020, 1, 2)}
    client.seed_runs.submit(2, operation, backtest={"symbol": "AAPL", "strategy_yaml": str(file)})
    client.schedules.create("nightly", "0 3 * * *", operation)
    expected = {"operation_type": "training", "strategy_yaml": STRATEGY, "end_date": "2020-01-02"}
    seed_run, schedule = (json.loads(request.content) for request in site.requests)
    assert seed_run["operation"] == schedule["operation"] == expected
    assert seed_run["backtest"] == {"symbol": "AAPL", "strategy_yaml": STRATEGY}


def test_a_seed_run_is_waited_for_to_the_end_of_all_its_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ktrdr_client.sync.operations.POLL_S", 0.0)
    site = SeedRunSite("COMPLETED", "FAILED", "CANCELLED")
    run = Client("http://site", transport=httpx.MockTransport(site)).seed_runs.get("sr1")
    with pytest.raises(OperationFailed, match="op1 is FAILED: job: boom"):
        run.wait()
    assert [operation.status for operation in run.operations] == ["COMPLETED", "FAILED", "CANCELLED"]
    assert len(run.spread) == 2, "read after the last operation had ended"
    assert run.wait(check=False) is run


SPREAD = """\
TYPE  FIGURE  COUNT  MINIMUM  MEDIAN  MEAN  MAXIMUM  DEVIATION
echo  sharpe  2      0.25     0.5     0.5   0.75     0.3536
echo  trades  1      30       30      30    30
"""


@pytest.mark.parametrize(
    ("statuses", "exit_status"),
    [
        (["COMPLETED", "COMPLETED"], 0),
        (["COMPLETED", "FAILED"], 1),
        (["CANCELLED", "FAILED"], 1),
        (["CANCELLED", "COMPLETED"], 3),
    ],
)
@pytest.mark.parametrize("command", ["submit training {strategy} --seeds 2 --wait", "follow sr1"])
def test_a_seed_run_ends_with_its_spread_and_its_worst_status(
    command: str,
    statuses: list[str],
    exit_status: int,
    strategy: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ktrdr_client.sync.operations.POLL_S", 0.0)
    assert run(SeedRunSite(*statuses), *command.format(strategy=strategy).split()) == exit_status
    shown = capsys.readouterr()
    assert shown.out.removeprefix("sr1\n") == SPREAD
    assert ("op1 failed (job): boom" in shown.err) == ("FAILED" in statuses)


def test_ctrl_c_leaves_a_seed_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ktrdr_client.sync.operations.time.sleep", interrupt)
    assert run(SeedRunSite("COMPLETED"), "follow", "sr1") == 130
    assert "ktrdr follow sr1" in capsys.readouterr().err


def test_schedules_and_their_due_times_are_listed_in_utc(
    site: DocumentedSite, capsys: pytest.CaptureFixture[str]
) -> None:
    run(site, "schedules", "list")
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "NEXT", "(UTC)", "TIMES", "TIME", "ZONE", "OWNER", "NAME", "PROBLEM"]
    assert row == "sc1  2026-01-02 02:00  0 3 * * *  Europe/Berlin  me     nightly"
    run(site, "schedules", "runs", "sc1")
    assert capsys.readouterr().out.splitlines()[1].split("  ")[:2] == ["2026-01-02 02:00", "skipped"]
    run(site, "schedules", "resume", "sc1")
    assert capsys.readouterr().out == "sc1 is due at 2026-01-02 02:00 UTC\n"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"paused_at": "2026-01-01T00:00:00Z", "pause_reason": f"why {ESCAPES}"}, "paused"),
        ({"problem": f"refused\n{ESCAPES}"}, "refused\\n"),
    ],
)
def test_a_schedule_that_does_not_run_shows_why(
    row: dict[str, Any], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"results": [{**SCHEDULE, **row}], "next": None}
    run(answering(page), "schedules", "list")
    shown = capsys.readouterr().out
    assert expected in shown
    assert len(shown.splitlines()) == 2
    assert not set(shown) & set("\x1b\x07\u202e\u2028\x9b")


def test_the_lists_of_schedules_as_json_are_those_of_the_api(
    site: DocumentedSite, capsys: pytest.CaptureFixture[str]
) -> None:
    run(site, "schedules", "list", "--json")
    assert json.loads(capsys.readouterr().out) == [SCHEDULE]
    run(site, "schedules", "runs", "sc1", "--json")
    assert json.loads(capsys.readouterr().out) == [RUN]
