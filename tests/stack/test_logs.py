"""One operation, followed through the logs of every process of a running system."""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.stack.system import Up
from tests.waiting import until

pytestmark = pytest.mark.stack
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
ASKED = {"X-Request-ID": "req-42", "traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
BARS = "Date,Open,High,Low,Close,Volume\n" + "".join(
    f"2020-01-{day:02},10,11,9,10.5,100\n" for day in (2, 3, 6, 7, 8, 9, 10)
)


def lines(system: Up) -> list[tuple[str, dict[str, Any]]]:
    """(name of the process, the line), of all that the processes have logged, in the order of time."""
    logged = [(name, json.loads(text)) for name, text in system.logged()]
    return sorted(logged, key=lambda pair: datetime.fromisoformat(pair[1]["timestamp"]))


def test_an_operation_is_followed_by_its_id_and_by_its_requests_id_through_every_process(
    system_over_tls: Up,
) -> None:
    with system_over_tls.http() as http:
        fields = {"symbol": "ABC", "timeframe": "1d"}
        answer = http.post("/market-data", files={"file": ("a.csv", BARS)}, data=fields, headers=ASKED)
    assert answer.headers["X-Request-ID"] == "req-42"
    operation_id = answer.json()["operation_id"]
    until(
        lambda: any(
            (line["event"], line.get("operation_id")) == ("report delivered", operation_id)
            for _, line in lines(system_over_tls)
        ),
        "the report is delivered", 60, lambda: system_over_tls.output,
    )  # fmt: skip
    logged = lines(system_over_tls)
    by_operation = [(name, line) for name, line in logged if line.get("operation_id") == operation_id]
    by_request = [(name, line) for name, line in logged if line.get("request_id") == "req-42"]
    steps = [(name, line["event"]) for name, line in by_request if line["event"].startswith("operation ")]
    assert steps[:-1] == [
        ("web", "operation PENDING"), ("dispatcher", "operation DISPATCHING"), ("dispatcher", "operation RUNNING"),
    ]  # fmt: skip
    # The worker reports it to web; the dispatcher asks for it if the report is late.
    assert steps[-1] in {("web", "operation COMPLETED"), ("dispatcher", "operation COMPLETED")}
    assert [pair for pair in by_operation if pair in by_request] == by_request
    assert {name for name, _ in by_request} == {"web", "dispatcher", "backtesting-1"}
    assert {line["trace_id"] for _, line in by_request} == {TRACE_ID}
    assert any(line["logger"] == "job" for _, line in by_request), "a line of the job itself"
    worked_on = [line for _, line in by_operation if line["event"] != "operation PENDING"]
    assert {(line["attempt"], line["worker_id"]) for line in worked_on} == {(1, "backtesting-1")}
