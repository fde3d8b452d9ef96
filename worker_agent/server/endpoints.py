"""The agent's HTTP endpoints. Only the backend may use them, with the token that this process got at registration."""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from worker_agent import proof
from worker_agent.agent import Agent, Busy, OlderAttempt
from worker_agent.attempt.record import AttemptRecord
from worker_agent.operation_spec import OperationSpec
from worker_agent.protocol import BusyAnswer, LogsPage, MetricsPage, StartAnswer, StartRequest
from worker_agent.server import prometheus
from worker_agent.trace import REQUEST_ID_HEADER, TRACEPARENT_HEADER
from worker_agent.validation_messages import problems_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_REQUEST_BYTES = 16 * 1024**2
MAX_CURSOR = 2**62


def message_response(model: BaseModel, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=model.model_dump_json(), status=status, content_type="application/json")


def problem(status: HTTPStatus, detail: str, **members: Any) -> web.Response:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, **members}
    return web.json_response(body, status=status, content_type="application/problem+json")


def create_application(agent: Agent) -> web.Application:
    app = web.Application(middlewares=[_guard(agent)], client_max_size=MAX_REQUEST_BYTES)
    app.on_response_prepare.append(_prove(agent))
    routes = Endpoints(agent)
    app.router.add_get("/health", routes.health)
    app.router.add_get("/", routes.index)
    app.router.add_get("/metrics", routes.prometheus_metrics)
    app.router.add_post("/drain", routes.drain)
    app.router.add_get("/api/v1/operations", routes.operations)
    app.router.add_get("/api/v1/operations/{operation_id}", routes.operation)
    app.router.add_get("/api/v1/operations/{operation_id}/metrics", routes.metrics)
    app.router.add_get("/api/v1/operations/{operation_id}/logs", routes.logs)
    app.router.add_delete("/api/v1/operations/{operation_id}/cancel", routes.cancel)
    for spec in agent.worker.specs():
        app.router.add_post(spec.start_path, routes.start(spec))
    return app


def _is_backend(agent: Agent, request: web.Request) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not agent.backend_token:
        return False
    # Bytes that are not UTF-8 arrive as surrogates.
    received = token.strip().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(received, agent.backend_token.encode())


def _prove(agent: Agent) -> Any:
    async def sign(request: web.Request, response: web.StreamResponse) -> None:
        """Prove every response to a nonce, errors too. This reveals nothing, so callers without a token get it as well."""
        nonce = request.headers.get(proof.NONCE_HEADER, "")
        if proof.is_nonce(nonce):
            response.headers[proof.PROOF_HEADER] = proof.prove(
                agent.proof_key, nonce, agent.options.worker_id, agent.instance_id
            )

    return sign


def _guard(agent: Agent) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        request["is_backend"] = _is_backend(agent, request)
        if request["is_backend"]:
            if request.path != "/metrics":  # a scrape is not a health check
                agent.registrar.heard_from_backend()
        elif request.path != "/health":
            return problem(
                HTTPStatus.UNAUTHORIZED, "Only the backend with which this worker is registered may call it."
            )
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body without a content encoding.")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return problem(HTTPStatus(error.status), error.reason)

    return guard


class Endpoints:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    async def health(self, request: web.Request) -> web.Response:
        health = self.agent.health()
        if not request["is_backend"]:
            return web.json_response({"status": health.status})
        return message_response(health)

    async def index(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "worker_id": self.agent.options.worker_id,
                "worker_type": self.agent.worker.worker_type,
                "version": self.agent.worker.version,
                "operation_types": [spec.operation_type for spec in self.agent.worker.specs()],
                "capabilities": self.agent.capabilities,
            }
        )

    def start(self, spec: OperationSpec) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            body = await request.read()
            try:
                start = StartRequest.model_validate_json(body)
            except ValidationError as error:
                if error.errors()[0]["type"] == "json_invalid":
                    return problem(HTTPStatus.BAD_REQUEST, "The body is not JSON.")
                return _validation_problem(error)
            operation_id = start.task_id or secrets.token_hex(8)
            origin = {
                "request_id": start.request_id or request.headers.get(REQUEST_ID_HEADER),
                "traceparent": start.traceparent or request.headers.get(TRACEPARENT_HEADER),
            }
            start = start.model_copy(update=origin)
            try:
                self.agent.start(spec, start, operation_id)
            except Busy as busy:
                return message_response(
                    BusyAnswer(current_operation=busy.operation_id), HTTPStatus.SERVICE_UNAVAILABLE
                )
            except OlderAttempt as error:
                return problem(HTTPStatus.CONFLICT, str(error))
            except ValidationError as error:
                return _validation_problem(error)
            return message_response(StartAnswer(operation_id=operation_id))

        return handler

    async def operations(self, request: web.Request) -> web.Response:
        operations = [record.to_message().model_dump(mode="json") for record in self.agent.records()]
        return web.json_response({"results": operations})

    def _record(self, request: web.Request) -> AttemptRecord:
        record = self.agent.find(request.match_info["operation_id"])
        if record is None:
            raise web.HTTPNotFound(reason="This worker does not know the operation.")
        return record

    async def operation(self, request: web.Request) -> web.Response:
        return message_response(self._record(request).to_message())

    async def metrics(self, request: web.Request) -> web.Response:
        page, cursor = self._record(request).metrics_after(_cursor(request))
        return message_response(MetricsPage(results=page, next_cursor=cursor))

    async def logs(self, request: web.Request) -> web.Response:
        page, cursor = self._record(request).logs_after(_cursor(request))
        return message_response(LogsPage(results=page, next_cursor=cursor))

    async def cancel(self, request: web.Request) -> web.Response:
        record = self._record(request)
        attempt = request.query.get("attempt")
        if attempt is not None and not (attempt.isascii() and attempt.isdigit() and len(attempt) < 10):
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "`attempt` must be a whole number.")
        number = int(attempt) if attempt is not None else None
        if number not in (None, record.attempt):
            return problem(HTTPStatus.CONFLICT, f"This worker has attempt {record.attempt} of the operation.")
        self.agent.cancel(record.operation_id, number, request.query.get("reason", "")[:500])
        return message_response(record.to_message(), HTTPStatus.ACCEPTED)

    async def drain(self, request: web.Request) -> web.Response:
        self.agent.drain()
        return message_response(self.agent.health(), HTTPStatus.ACCEPTED)

    async def prometheus_metrics(self, request: web.Request) -> web.Response:
        usage = await asyncio.to_thread(self.agent.load.measure_job)
        body = prometheus.render(prometheus.agent_metrics(self.agent, usage)).encode()
        return web.Response(body=body, headers={"Content-Type": prometheus.CONTENT_TYPE})


def _cursor(request: web.Request) -> int:
    text = request.query.get("cursor", "0")
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > MAX_CURSOR:
        raise web.HTTPUnprocessableEntity(reason="`cursor` must be a whole number of at least 0.")
    return int(text)


def _validation_problem(error: ValidationError) -> web.Response:
    errors = problems_of(error, 20)
    first = errors[0]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['pointer']}: {first['detail']}", errors=errors)
