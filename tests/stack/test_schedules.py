"""A schedule of a user in a running system: its process submits at the due time, once, and not while it is paused."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.stack.system import ROOT, Up
from tests.waiting import until

pytestmark = pytest.mark.stack

STRATEGY = ROOT / "examples" / "strategies" / "moving_average_cross.yaml"
DUE_WITHIN_S = 120
"""The next full minute, and the pause between two rounds of the schedules."""


def request(system: Up, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    with system.http() as http:
        answer = http.request(method, path, json=body)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json()


def import_bars(system: Up, symbol: str) -> None:
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(300)]
    lines = [f"{day},{10 + day.day},{11 + day.day},{9 + day.day},{10 + day.day},100" for day in days]
    content = "\n".join(["Date,Open,High,Low,Close,Volume", *lines])
    with system.http() as http:
        files = {"file": ("bars.csv", content)}
        answer = http.post("/market-data", files=files, data={"symbol": symbol, "timeframe": "1d"})
    assert answer.status_code == 202, answer.text
    assert wait_for_end(system, answer.json()["operation_id"])["status"] == "COMPLETED", system.output


def wait_for_end(system: Up, operation_id: str) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        operation = dict(system.get(f"/operations/{operation_id}"))
        return operation if operation["status"] in ("COMPLETED", "FAILED", "CANCELLED") else None

    return until(find, f"{operation_id} has ended", 60, lambda: system.output) or {}


def test_a_schedule_runs_its_operation_at_the_due_time_once_and_not_while_paused(system_over_tls: Up) -> None:
    system = system_over_tls
    import_bars(system, "SCHEDULED")
    operation = {
        "operation_type": "backtesting",
        "symbol": "SCHEDULED",
        "strategy_yaml": STRATEGY.read_text(),
    }
    yearly = {"name": "paused", "cron": "0 0 1 1 *", "operation": operation}
    paused = f"/schedules/{request(system, 'POST', '/schedules', yearly)['schedule_id']}"
    request(system, "POST", f"{paused}/pause", {"reason": "of the test"})
    request(system, "PATCH", paused, {"cron": "* * * * *"})
    every_minute = {"name": "every minute", "cron": "* * * * *", "operation": operation}
    running = request(system, "POST", "/schedules", every_minute)
    path = f"/schedules/{running['schedule_id']}"

    runs = until(
        lambda: system.get(f"{path}/runs")["results"], "it was due", DUE_WITHIN_S, lambda: system.output
    )
    request(system, "POST", f"{path}/pause", {})
    first = system.get(f"{path}/runs")["results"][-1]
    assert first == runs[-1]
    assert first["outcome"] == "submitted", first
    due, at = (datetime.fromisoformat(first[name]) for name in ("due_at", "at"))
    assert due == datetime.fromisoformat(running["next_times"][0])
    assert due <= at
    assert wait_for_end(system, first["operation_id"])["status"] == "COMPLETED", system.output
    submitted = system.get("/operations?operation_type=backtesting&search=SCHEDULED")["results"]
    of_runs = {run["operation_id"] for run in system.get(f"{path}/runs")["results"]}
    assert {row["operation_id"] for row in submitted} == of_runs - {None}
    assert system.get(f"{paused}/runs")["results"] == []
