"""From the start request to the last call: one request id and one trace, in every line and every header."""

import json
from typing import Any

import pytest

from tests.agent.conftest import Running
from worker_agent.testing import FakeBackend
from worker_agent.trace import Trace, valid_request_id, valid_traceparent

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


def lines(agent: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in agent.log.splitlines()]


async def test_every_line_and_every_call_of_an_operation_carry_its_request_and_its_trace(
    agent: Running, backend: FakeBackend
):
    worker = await agent.start(KTRDR_LOG_FORMAT="json")
    wanted = backend.keep("bars/A.txt", b"of A")
    await backend.start(
        worker, "op", {"until_cancelled": True, "points": 2, "artifact": "x"}, attempt=3, inputs=(wanted,),
        request_id="req-1", traceparent=TRACEPARENT,
    )  # fmt: skip
    await agent.has_begun()
    await backend.ask(worker, "DELETE", "/api/v1/operations/op/cancel")
    await backend.report_of("op")
    calls = [call for call in backend.traces if call[0] not in ("register", "deregister")]
    assert {name for name, *_ in calls} == {"get_file", "checkpoint", "put_file", "report"}
    assert {(request_id, traceparent) for _, request_id, traceparent in calls} == {("req-1", TRACEPARENT)}
    await agent.end()
    names = {
        "operation_id": "op", "attempt": 3, "request_id": "req-1", "trace_id": TRACE_ID, "worker_id": "tester",
    }  # fmt: skip
    about = [line for line in lines(agent) if "operation_id" in line]
    assert all(names.items() <= line.items() for line in about)
    assert {"attempt started", "line 0", "line 1", "attempt ended: cancelled", "report delivered"} <= {
        line["event"] for line in about
    }
    assert {line["logger"] for line in about if line["event"].startswith("line ")} == {"job"}
    assert all(line["worker_id"] == "tester" for line in lines(agent)), "also what is about no operation"


async def test_a_kept_report_keeps_its_names_on_disk(agent: Running, backend: FakeBackend):
    worker = await agent.start()
    backend.tokens.clear()
    backend.enrolment_token = "another"
    await backend.start(worker, "op", request_id="req-1", traceparent=TRACEPARENT)
    await backend.until(lambda: any(name == "report" for name, *_ in backend.traces))
    kept = list((agent.directory / "data" / "reports").glob("*.json"))
    assert [json.loads(path.read_text())["traceparent"] for path in kept] == [TRACEPARENT]


@pytest.mark.parametrize(
    "traceparent", ["", "garbage", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "x" * 5000]
)
async def test_a_trace_that_is_none_is_replaced_and_refuses_nothing(
    agent: Running, backend: FakeBackend, traceparent: str
):
    worker = await agent.start()
    body = {"task_id": "op", "parameters": {}, "traceparent": traceparent, "request_id": "a\nb"}
    status, _ = await backend.ask(worker, "POST", "/work/start", _Raw(body))
    assert status == 200
    await backend.report_of("op")
    ((_, request_id, made),) = [call for call in backend.traces if call[0] == "report"]
    assert valid_request_id(request_id) == request_id
    assert valid_traceparent(made) == made


class _Raw:
    """A body that the protocol's own model would mend."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def model_dump_json(self) -> str:
        return json.dumps(self._body)


async def test_a_form_of_log_that_does_not_exist_stops_the_start(agent: Running):
    agent.launch(KTRDR_LOG_FORMAT="xml")
    assert agent.process is not None
    assert agent.process.wait(15) == 1
    assert "KTRDR_LOG_FORMAT=xml cannot be used: it must be console or json" in agent.log


@pytest.mark.parametrize(
    ("given", "usable"),
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
def test_a_traceparent_is_read_as_the_recommendation_says(given: object, usable: str | None):
    assert valid_traceparent(given) == usable
    made = Trace.of(None, given).traceparent
    assert made == usable if usable else valid_traceparent(made) == made


@pytest.mark.parametrize("given", ["", " ", "a b", "a\n", "x" * 65, "-x", "é", None])
def test_a_request_id_that_would_forge_a_line_is_replaced(given: object):
    assert valid_request_id(given) is None
    assert len(Trace.of(given).request_id) == 32
