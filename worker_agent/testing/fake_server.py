"""A server on a free port of 127.0.0.1 that records its requests, and responses that misbehave."""

import asyncio
import socket
import ssl
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from types import TracebackType
from typing import Self

from aiohttp import web
from pydantic import BaseModel

from worker_agent.trace import REQUEST_ID_HEADER, TRACEPARENT_HEADER

Answer = Callable[[web.Request, Callable[[], Awaitable[web.StreamResponse]]], Awaitable[web.StreamResponse]]
"""Creates a response. The second argument calls the regular handler."""
WAIT_S = 60.0
"""For events that must happen; only a failing test waits so long."""


def status(code: int, text: str = "") -> Answer:
    """Respond with this status; the regular handler is not called."""

    async def answer(_: web.Request, __: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        return web.Response(status=code, text=text)

    return answer


async def hang(_: web.Request, __: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Accept the request and never respond."""
    await asyncio.Event().wait()
    raise AssertionError


async def lose_request(
    request: web.Request, _: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Break the connection before the request is handled."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def lose_answer(
    request: web.Request, handle: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Handle the request, and break the connection before the response."""
    response = await handle()
    assert request.transport is not None
    request.transport.abort()
    return response


def late(seconds: float) -> Answer:
    """Handle the request, and respond after so many seconds."""

    async def answer(
        _: web.Request, handle: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        response = await handle()
        await asyncio.sleep(seconds)
        return response

    return answer


def message_response(model: BaseModel, code: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=model.model_dump_json(), status=code, content_type="application/json")


class FakeServer:
    """An application on a port of its own. The answers in `instead` replace those of the handlers, each once."""

    def __init__(self) -> None:
        self.url = ""
        self.tls: ssl.SSLContext | None = None
        """If set before `async with`, the server uses https."""
        self.instead: defaultdict[str, deque[Answer]] = defaultdict(deque)
        """Route name -> answers to its next requests."""
        self.requests: list[tuple[str, str]] = []
        """(route name, path) of every request, in order."""
        self.traces: list[tuple[str, str | None, str | None]] = []
        """(route name, request id, traceparent) of every request, from its headers."""
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Condition()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        raise NotImplementedError

    async def prepare_response(self, request: web.Request, response: web.StreamResponse) -> None:
        """Complete the headers of a response, also of one from `instead`."""

    def route(
        self, method: str, path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.RouteDef:
        name = handler.__name__

        async def handle(request: web.Request) -> web.StreamResponse:
            self.requests.append((name, request.path))
            request_id, traceparent = (
                request.headers.get(h) for h in (REQUEST_ID_HEADER, TRACEPARENT_HEADER)
            )
            self.traces.append((name, request_id, traceparent))
            try:
                if self.instead[name]:
                    return await self.instead[name].popleft()(request, lambda: handler(request))
                return await handler(request)
            finally:
                await self.notify()

        return web.route(method, path, handle)

    async def until(self, condition: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Wait until `condition()` is true. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    async def notify(self) -> None:
        """Have the callers of `until` check their conditions again."""
        async with self._changed:
            self._changed.notify_all()

    def count(self, name: str) -> int:
        """Return the number of requests to a route."""
        return sum(route == name for route, _ in self.requests)

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=64 * 1024**2)
        application.add_routes(self.routes())
        application.on_response_prepare.append(self.prepare_response)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        await web.SockSite(self._runner, listener, ssl_context=self.tls).start()
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
