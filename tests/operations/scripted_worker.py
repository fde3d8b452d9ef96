"""A worker on a real socket that answers as it is told, and remembers what it was asked.

It knows the protocol only as far as a test wants it to: each answer can be replaced by any status and bytes.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from registry import auth
from registry.models import Worker
from tests.factories import WorkerFactory
from worker_agent import proof
from worker_agent.protocol import AgentOperation, LogLine, MetricPoint, Progress, Report

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ScriptedWorker:
    url: str = ""
    identity: tuple[str, str] = ("", "")
    """(worker id, instance id) of its row; it proves every response with the key of that incarnation."""
    runs: dict[str, int] = field(default_factory=dict)
    """operation id -> attempt, of what it has started"""
    asked: list[str] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)
    reports: dict[str, Report] = field(default_factory=dict)
    metrics: list[MetricPoint] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    on_start: Answer | None = None
    on_ask: Answer | None = None
    on_cancel: Answer | None = None

    def count(self, beginning: str) -> int:
        return sum(line.startswith(beginning) for line in self.asked)

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        part = request.path.strip("/").split("/")
        if request.method == "POST":
            return await (self.on_start or self.start)(request)
        if request.method == "DELETE":
            return await (self.on_cancel or self.cancel)(request)
        if part[-1] in ("metrics", "logs"):
            return self.page(part[-1], int(request.query["cursor"]))
        return await (self.on_ask or self.operation)(request)

    async def prove(self, request: web.Request, response: web.StreamResponse) -> None:
        nonce = request.headers.get(proof.NONCE_HEADER, "")
        if all(self.identity) and proof.is_nonce(nonce):
            key = auth.proof_key(*self.identity)
            response.headers[proof.PROOF_HEADER] = proof.prove(key, nonce, *self.identity)

    async def start(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.started.append(body)
        self.runs[body["task_id"]] = body["attempt"]
        return web.json_response({"operation_id": body["task_id"]})

    async def operation(self, request: web.Request) -> web.StreamResponse:
        operation_id = request.path.rsplit("/", 1)[1]
        if operation_id not in self.runs:
            return web.json_response({}, status=404)
        report = self.reports.get(operation_id)
        answer = AgentOperation(
            operation_id=operation_id,
            operation_type="echo",
            attempt=self.runs[operation_id],
            state="running" if report is None else report.outcome.value,
            progress=self.progress,
            started_at=datetime.now(UTC),
            metrics_cursor=len(self.metrics),
            logs_cursor=len(self.logs),
            report=report,
        )
        return web.Response(text=answer.model_dump_json(), content_type="application/json")

    def page(self, name: str, cursor: int) -> web.StreamResponse:
        rows = [row.model_dump(mode="json") for row in getattr(self, name)[cursor:]]
        return web.json_response({"results": rows, "next_cursor": cursor + len(rows)})

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        operation_id = request.path.split("/")[-2]
        return web.json_response({}, status=200 if operation_id in self.runs else 404)


def says(status: int, body: Any = None, text: str | None = None) -> Answer:
    """An answer that is always the same."""

    async def answer(request: web.Request) -> web.StreamResponse:
        content = json.dumps(body) if text is None else text
        return web.Response(status=status, text=content, content_type="application/json")

    return answer


async def never(request: web.Request) -> web.StreamResponse:
    """Takes the request and never answers."""
    await asyncio.Event().wait()
    raise AssertionError


@asynccontextmanager
async def serving(worker: ScriptedWorker):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", worker.dispatch)
    app.on_response_prepare.append(worker.prove)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    worker.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    try:
        yield worker
    finally:
        await runner.cleanup()


def row_of(worker: ScriptedWorker, **fields: Any) -> Worker:
    row = WorkerFactory(endpoint_url=worker.url, **fields)
    worker.identity = (row.worker_id, row.instance_id)
    return row


@contextmanager
def worker_at_work() -> Iterator[ScriptedWorker]:
    """A scripted worker with an event loop of its own, so that threads of the test may wait for it."""
    worker, ready, stop = ScriptedWorker(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(worker):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield worker
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
