"""A receiver of webhooks on a real socket that answers as it is told and remembers what came."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.side_loop import side_loop

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Came:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    port: int = 0
    came: list[Came] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    """for the next requests, in order; then 204"""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    async def take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.came.append(Came(request.path, headers, await request.read()))
        return await self.answers.pop(0)(request) if self.answers else web.Response(status=204)


def status(code: int, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return answer


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def without_end(request: web.Request) -> web.StreamResponse:
    """100 MB; whoever reads them all has lost."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(100):
        await response.write(b"x" * 1_000_000)
    return response


@contextmanager
def serving() -> Iterator[Receiver]:
    """Its loop runs in a thread of its own."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.port = runner.addresses[0][1]

    with side_loop() as run:
        run(start())
        try:
            yield receiver
        finally:
            run(runner.cleanup())
