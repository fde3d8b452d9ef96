"""A server on a free port of 127.0.0.1 that remembers what it was asked, and the ways in which it can misbehave."""

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
"""Instead of the honest answer, which the second argument would give."""
WAIT_S = 20.0


def status(code: int, text: str = "") -> Answer:
    """Refuses: nothing is taken in."""

    async def answer(_: web.Request, __: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        return web.Response(status=code, text=text)

    return answer


async def hang(_: web.Request, __: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Takes the request and never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def lose_request(
    request: web.Request, _: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The connection breaks before anything is taken in."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def lose_answer(
    request: web.Request, honest: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """All is taken in, and the connection breaks before the answer."""
    answer = await honest()
    assert request.transport is not None
    request.transport.abort()
    return answer


def late(seconds: float) -> Answer:
    """Takes all in, and answers when so much time has passed."""

    async def answer(
        _: web.Request, honest: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = await honest()
        await asyncio.sleep(seconds)
        return given

    return answer


def message(model: BaseModel, code: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=model.model_dump_json(), status=code, content_type="application/json")


class Served:
    """An application on a port of its own; `instead` holds answers that replace the honest ones, once each."""

    def __init__(self) -> None:
        self.url = ""
        self.tls: ssl.SSLContext | None = None
        """Set before it is entered, it serves https."""
        self.instead: defaultdict[str, deque[Answer]] = defaultdict(deque)
        """Route name -> answers for its next requests."""
        self.asked: list[tuple[str, str]] = []
        """(route name, path) of every request, in order."""
        self.traces: list[tuple[str, str | None, str | None]] = []
        """(route name, request id, traceparent) of every request, as its headers say."""
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Condition()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        raise NotImplementedError

    def route(
        self, method: str, path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.RouteDef:
        name = handler.__name__

        async def served(request: web.Request) -> web.StreamResponse:
            self.asked.append((name, request.path))
            request_id, traceparent = (
                request.headers.get(h) for h in (REQUEST_ID_HEADER, TRACEPARENT_HEADER)
            )
            self.traces.append((name, request_id, traceparent))
            try:
                if self.instead[name]:
                    return await self.instead[name].popleft()(request, lambda: handler(request))
                return await handler(request)
            finally:
                await self.tell()

        return web.route(method, path, served)

    async def until(self, condition: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Waits until `condition()` holds. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    async def tell(self) -> None:
        """Something has changed: whoever waits looks again."""
        async with self._changed:
            self._changed.notify_all()

    def count(self, name: str) -> int:
        return sum(asked == name for asked, _ in self.asked)

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=64 * 1024**2)
        application.add_routes(self.routes())
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        await web.SockSite(self._runner, listening, ssl_context=self.tls).start()
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
