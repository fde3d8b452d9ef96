"""A site that exists only as its OpenAPI document: it checks each request against it, and answers from a table."""

import io
import json
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.api_document import find_call, schema_errors

OPERATION = {
    "operation_id": "op1", "operation_type": "echo", "status": "COMPLETED", "parameters": {"symbol": "AAPL"},
    "result": {"metrics": {"sharpe": 0.5, "test": {"accuracy": 0.6}}}, "progress": {"percentage": 100.0},
    "created_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:01:00.5Z", "waiting_reason": "", "error": None,
    "title": "", "subject": "AAPL", "headline": {"name": "return", "text": "+1 %"},
    "result_values": [{"title": "Sharpe", "text": "0.5"}, {"title": "Accuracy, test", "text": "60.0 %"}],
}  # fmt: skip
STUDY = {
    "study_id": "st1", "name": "search", "status": "COMPLETED", "waiting_reason": "", "verdict": "open",
    "trials": {"planned": 2, "proposed": 2, "running": 0, "completed": 2, "failed": 0, "stopped_early": 0},
    "progress": {"percentage": 100.0, "eta_seconds": None}, "best": {"number": 0, "value": 1.0, "parameters": {}},
}  # fmt: skip
TRIAL = {
    "number": 0, "state": "completed", "value": 1.0, "cpu_ms": 3.0, "error": "", "parameters": {"/a": 1}, "scores": {"trades": 30},
}  # fmt: skip
CURVE = {"number": 0, "time": ["2020-01-01", "2020-01-02"], "growth": [1.1, 1.21]}
WINDOW = {
    "train": ["2019-01-01", "2019-12-31"], "test": ["2020-01-01", "2020-01-02"], "number": 0, "point": {"/a": 1},
    "train_sharpe": 1.0, "test_sharpe": 0.5, "test_return": 0.1,
}  # fmt: skip
REPORT = {
    "curves": [CURVE],
    "paths": {"fan": {"time": ["2020-01-01"], "low": [0.9], "median": [1.0], "high": [1.1]}},
    "walk_forward": {"windows": [WINDOW]},
}
COVERAGE = {
    "symbol": "AAPL", "timeframe": "1d", "rows": 2, "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z",
    "sha256": "0",
}  # fmt: skip
STRATEGY = {
    "name": "a", "title": "", "note": "", "tags": [], "version": 1, "digest": "0",
}  # fmt: skip
SEED_RUN = {
    "seed_run_id": "sr1", "created_at": "2026-01-01T00:00:00Z", "created_by": "me",
    "operations": [{"operation_id": "op1", "operation_type": "echo", "seed": 42, "status": "RUNNING"}],
    "spread": [
        {"operation_type": "echo", "name": "sharpe", "count": 2, "minimum": 0.25, "median": 0.5, "mean": 0.5,
         "maximum": 0.75, "deviation": 0.353553},
        {"operation_type": "echo", "name": "trades", "count": 1, "minimum": 30.0, "median": 30.0, "mean": 30.0,
         "maximum": 30.0, "deviation": None},
    ],
}  # fmt: skip
RANKED_RUN = {
    "operation_id": "op1", "operation_type": "backtesting", "status": "COMPLETED", "title": "", "subject": "cross, AAPL",
    "tags": ["daily", "fx"], "created_at": "2026-01-01T00:00:00Z", "created_by": "me",
    "metrics": {"sharpe": 1.25, "dsr": None, "trades": 30.0, "total_return": 0.5},
    "settings": {"commission": 0.001, "symbols": ["AAPL"], "title": "a parameter"},
}  # fmt: skip
SCHEDULE = {
    "schedule_id": "sc1", "name": "nightly", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "catch_up": "once",
    "overlap": "skip", "created_by": "me", "created_at": "2026-01-01T00:00:00Z", "operation_type": "echo",
    "next_run_at": "2026-01-02T03:00:00+01:00", "last_operation_id": None, "paused_at": None, "pause_reason": "",
    "problem": "", "failures": 0, "waits_for_last": False, "operation": {"operation_type": "echo"},
    "next_times": ["2026-01-02T03:00:00+01:00"],
}  # fmt: skip
RUN = {
    "due_at": "2026-01-02T02:00:00Z", "at": "2026-01-02T02:00:05Z", "outcome": "skipped", "operation_id": None,
    "detail": "The operation op1 had not ended.",
}  # fmt: skip
UPLOAD = {
    "upload_id": "up1", "name": "prices.csv", "size": 3, "sha256": "0", "created_by": "me",
    "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-02-01T00:00:00Z",
}  # fmt: skip
SECRET = {
    "name": "NEWS_API_KEY", "worker_types": ["news"], "created_at": "2026-01-01T00:00:00Z",
    "changed_at": "2026-01-01T00:00:00Z", "changed_by": "me", "last_read_at": None, "is_readable": True,
}  # fmt: skip
POINT = {"seq": 1, "name": "loss", "step": 1, "value": 0.5}
WORKER = {
    "worker_id": "w1", "worker_type": "echo", "status": "BUSY", "cordoned": False, "current_operation_id": "op1",
    "health_problem": "",
}  # fmt: skip


def page_of(*rows: Any) -> dict[str, Any]:
    return {"results": list(rows), "next": None, "previous": None}


ANSWERS: dict[str, Any] = {
    "operations_list": page_of(
        {name: OPERATION[name] for name in OPERATION.keys() - {"parameters", "result", "result_values"}}
    ),
    "operations_create": OPERATION,
    "operations_batch_create": {"results": [OPERATION]},
    "training_start_create": OPERATION,
    "backtests_start_create": OPERATION,
    "market_data_create": OPERATION,
    "market_data_list": page_of(COVERAGE),
    "market_data_destroy": None,
    "operations_artifacts_list": page_of({"name": "report.json"}),
    "operation_types_list": page_of({"operation_type": "echo"}),
    "workers_list": page_of(WORKER),
    "strategies_validate_create": {"valid": True},
    "strategies_list": page_of(STRATEGY),
    "strategies_versions_retrieve": {"strategy_yaml": "name: a\n"},
    "studies_list": page_of(STUDY),
    "studies_validate_create": {"valid": True},
    "studies_promote_create": {"number": 0, "operations": [OPERATION]},
    "studies_report_retrieve": REPORT,
    "studies_trials_list": {"results": [TRIAL], "next_offset": None},
    "runs_list": {"results": [RANKED_RUN], "next_offset": None},
    "seed_runs_list": page_of({name: SEED_RUN[name] for name in ("seed_run_id", "created_at", "created_by")}),
    "schedules_list": page_of(SCHEDULE),
    "schedules_runs_list": page_of(RUN),
    "schedules_delete": {"schedule_id": "sc1"},
    "uploads_list": page_of(UPLOAD),
    "uploads_destroy": None,
    "secrets_list": page_of(SECRET),
    "secrets_destroy": None,
}
BY_GROUP = {
    "studies": STUDY,
    "seed_runs": SEED_RUN,
    "schedules": SCHEDULE,
    "uploads": UPLOAD,
    "secrets": SECRET,
}
"""The answers of the other calls, by the start of their identifiers."""


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


TIMES = pd.date_range("2020-01-01", periods=3, tz="UTC", unit="ns")
FILES = {
    "bars": parquet(time=TIMES, close=[1.0, 2.0, 3.0]),
    "equity.parquet": parquet(time=TIMES, equity=[1.0, 2.0, 3.0]),
    "trades.parquet": parquet(pnl=[1.0]),
    "trades.csv": b"entry_time,pnl\n2020-01-01T00:00:00Z,1.5\n",
    "report.json": b'{"trades": []}',
}
"""Content by the last part of the path."""


class DocumentedSite:
    """`requests` has all requests, in their order."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        call = find_call(request.method, request.url.path)
        self._check_parameters(call, request)
        self._check_body(call, request)
        self.requests.append(request)
        return self._answer(call["operationId"], request)

    def _check_parameters(self, call: dict[str, Any], request: httpx.Request) -> None:
        parameters = {parameter["name"]: parameter["schema"] for parameter in call.get("parameters", ())}
        for name, text in request.url.params.items():
            assert name in parameters, f"{call['operationId']} has no parameter {name}"
            value: Any = int(text) if parameters[name].get("type") == "integer" else text
            value = (
                {"true": True, "false": False}.get(text, value)
                if parameters[name].get("type") == "boolean"
                else value
            )
            assert schema_errors(parameters[name], value) == [], name
        if "Idempotency-Key" in request.headers:
            assert "Idempotency-Key" in parameters, call["operationId"]

    def _check_body(self, call: dict[str, Any], request: httpx.Request) -> None:
        content = call.get("requestBody", {}).get("content", {})
        if not request.content:
            assert not call.get("requestBody", {}).get("required"), call["operationId"]
        elif "multipart/form-data" in content:
            head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
            parts = message_from_bytes(head + request.content, policy=HTTP).iter_parts()
            names = {part.get_param("name", header="Content-Disposition") for part in parts}
            schema = content["multipart/form-data"]["schema"]
            assert set(schema["required"]) <= names <= schema["properties"].keys()
        else:
            body = json.loads(request.content)
            assert schema_errors(content["application/json"]["schema"], body) == [], call["operationId"]

    def _answer(self, identifier: str, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[-1]
        if name in FILES:
            return httpx.Response(200, content=FILES[name])
        if identifier.startswith("operations_") and identifier.endswith(
            ("metrics_retrieve", "logs_retrieve", "events_retrieve")
        ):
            rows = [POINT] if request.url.params["cursor"] == "0" else []
            return httpx.Response(200, json={"results": rows, "next_cursor": 1})
        if identifier == "operations_list" and "fields" in request.url.params:
            fields = {"operation_id", *request.url.params["fields"].split(",")}
            row = {name: value for name, value in OPERATION.items() if name in fields}
            return httpx.Response(200, json=page_of(row))
        default = next((BY_GROUP[name] for name in BY_GROUP if identifier.startswith(name)), OPERATION)
        answer = ANSWERS.get(identifier, default)
        return httpx.Response(204) if answer is None else httpx.Response(200, json=answer)


class SeedRunSite:
    """A seed run whose operations have ended as given when they are read for the second time; its spread comes then."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = {f"op{number}": status for number, status in enumerate(statuses)}
        self.reads = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/operations":
            self.reads += 1
            rows = [self._operation(name) for name in request.url.params["ids"].split(",")]
            return httpx.Response(200, json=page_of(*rows))
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/operations/") and name in self.statuses:
            return httpx.Response(200, json=self._operation(name, parameters={}))
        if not path.startswith("/seed-runs"):
            return httpx.Response(404, json={"status": 404, "title": "Not Found", "detail": "Unknown."})
        members = [{**self._operation(name), "seed": 1} for name in self.statuses]
        spread = SEED_RUN["spread"] if self.reads > 1 else []
        return httpx.Response(200, json={**SEED_RUN, "operations": members, "spread": spread})

    def _operation(self, name: str, **fields: Any) -> dict[str, Any]:
        status = self.statuses[name] if self.reads > 1 else "RUNNING"
        error = {"class": "job", "message": "boom"} if status == "FAILED" else None
        state = {"operation_type": "echo", "status": status, "error": error, "progress": {"percentage": 5.0}}
        return {"operation_id": name, **state, **fields}
