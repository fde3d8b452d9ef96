"""Every log line and every call of an operation carry the request id and the trace of its start request."""

import json
from typing import Any

import pytest

from tests.agent.conftest import TIMEOUT_S, RunningAgent
from worker_agent.testing import FakeBackend
from worker_agent.trace import Trace, valid_request_id, valid_traceparent

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


def lines(agent: RunningAgent) -> list[dict[str, Any]]:
    return [json.loads(line) for line in agent.log.splitlines()]


async def test_every_line_and_call_of_an_operation_carry_its_request_id_and_trace(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start(KTRDR_LOG_FORMAT="json")
    bars = backend.keep("bars/A.txt", b"of A")
    await backend.start(
        worker, "op", {"until_cancelled": True, "points": 2, "artifact": "x"}, attempt=3, inputs=(bars,),
        request_id="req-1", traceparent=TRACEPARENT,
    )  # fmt: skip
    await agent.wait_until_started()
    await backend.ask(worker, "DELETE", "/api/v1/operations/op/cancel")
    await backend.report_of("op")
    calls = [call for call in backend.traces if call[0] not in ("register", "deregister")]
    assert {name for name, *_ in calls} == {"get_file", "checkpoint", "put_file", "report"}
    assert {(request_id, traceparent) for _, request_id, traceparent in calls} == {("req-1", TRACEPARENT)}
    await agent.end()
    fields = {
        "operation_id": "op", "attempt": 3, "request_id": "req-1", "trace_id": TRACE_ID, "worker_id": "tester",
    }  # fmt: skip
    operation_lines = [line for line in lines(agent) if "operation_id" in line]
    assert all(fields.items() <= line.items() for line in operation_lines)
    assert {"attempt started", "line 0", "line 1", "attempt ended: cancelled", "report delivered"} <= {
        line["event"] for line in operation_lines
    }
    assert {line["logger"] for line in operation_lines if line["event"].startswith("line ")} == {"job"}
    assert all(line["worker_id"] == "tester" for line in lines(agent)), "also lines about no operation"


async def test_a_stored_report_keeps_its_trace(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    backend.tokens.clear()
    backend.enrolment_token = "another"
    await backend.start(worker, "op", request_id="req-1", traceparent=TRACEPARENT)
    await backend.until(lambda: any(name == "report" for name, *_ in backend.traces))
    stored = list((agent.directory / "data" / "reports").glob("*.json"))
    assert [json.loads(path.read_text())["traceparent"] for path in stored] == [TRACEPARENT]


@pytest.mark.parametrize(
    "traceparent", ["", "garbage", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "x" * 5000]
)
async def test_an_invalid_trace_is_replaced_and_the_request_accepted(
    agent: RunningAgent, backend: FakeBackend, traceparent: str
):
    worker = await agent.start()
    body = {"task_id": "op", "parameters": {}, "traceparent": traceparent, "request_id": "a\nb"}
    status, _ = await backend.ask(worker, "POST", "/work/start", _Raw(body))
    assert status == 200
    await backend.report_of("op")
    ((_, request_id, new_traceparent),) = [call for call in backend.traces if call[0] == "report"]
    assert valid_request_id(request_id) == request_id
    assert valid_traceparent(new_traceparent) == new_traceparent


class _Raw:
    """A body that the protocol's model would correct."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def model_dump_json(self) -> str:
        return json.dumps(self._body)


async def test_an_unknown_log_format_is_an_error_at_start(agent: RunningAgent):
    agent.launch(KTRDR_LOG_FORMAT="xml")
    assert agent.process is not None
    assert agent.process.wait(TIMEOUT_S) == 1
    assert "KTRDR_LOG_FORMAT=xml cannot be used: it must be console or json" in agent.log


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TRACEPARENT, TRACEPARENT),
        (f"cc-{TRACE_ID}-00f067aa0ba902b7-01", TRACEPARENT),
        (f"cc-{TRACE_ID}-00f067aa0ba902b7-01-what-the-future-will-be-like", TRACEPARENT),
        (f"{TRACEPARENT}-more", None),
        (f"ff-{TRACE_ID}-00f067aa0ba902b7-01", None),
        (TRACEPARENT.upper(), None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE_ID}-{'0' * 16}-01", None),
        (f" {TRACEPARENT}", None),
        (f"{TRACEPARENT}\n", None),
        (f"00-{TRACE_ID}-00f067aa0ba902b7", None),
        (None, None),
        (b"bytes", None),
    ],
)
def test_a_traceparent_is_parsed_by_the_recommendation(value: object, expected: str | None):
    assert valid_traceparent(value) == expected
    traceparent = Trace.of(None, value).traceparent
    assert traceparent == expected if expected else valid_traceparent(traceparent) == traceparent


@pytest.mark.parametrize("value", ["", " ", "a b", "a\n", "x" * 65, "-x", "é", None])
def test_a_request_id_that_could_forge_a_log_line_is_replaced(value: object):
    assert valid_request_id(value) is None
    assert len(Trace.of(value).request_id) == 32
