"""One HTTP/1.1 connection to a worker: a request, its whole response, and then perhaps the next request.

The bytes are untrusted. They are parsed and counted as they arrive, so no more of them are kept than a response may have.
"""

import asyncio
import select
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import h11

from registry.worker_errors import WorkerMisbehaved, WorkerUncertain

MAX_HEADER_BYTES = 100 * 1024
MAX_EVENTS = 200
"""Parts of a response that are parsed at once: 256 KiB may arrive as 43,000 chunks, and other calls wait meanwhile."""
IDENTITY = "identity"
"""The content encoding of a body that is not compressed."""


@dataclass(slots=True)
class Received:
    status: int = 0
    headers: dict[bytes, str] = field(default_factory=dict)
    """By their names in lower case, with repeated ones joined."""
    content: bytearray = field(default_factory=bytearray)
    """As it was sent: 1,137 compressed bytes may unpack to gigabytes."""


class HttpConnection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.CLIENT, MAX_HEADER_BYTES)
        self._transport: asyncio.Transport
        self._received, self._max_bytes = Received(), 0
        self._response: asyncio.Future[Received] | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    async def exchange(self, request: Sequence[h11.Event], max_bytes: int) -> Received:
        """Send the request and return the response. Raises WorkerUncertain, WorkerMisbehaved."""
        if self._transport.is_closing():
            raise WorkerUncertain("the connection broke: the worker has closed it")
        self._received, self._max_bytes = Received(), max_bytes
        self._response = self._loop.create_future()
        self._transport.write(b"".join(self._http.send(event) or b"" for event in request))
        try:
            return await self._response
        finally:
            self._response = None

    def is_reusable(self) -> bool:
        """Return whether it can carry another request: both sides keep it, and nothing follows the last response."""
        return self._http.our_state is h11.IDLE and not self._transport.is_closing()

    def is_silent(self) -> bool:
        """Return whether nothing has arrived that the loop has not read yet, such as the end of the connection."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        """Close it without waiting for the worker."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._response is None or self._response.done():
            self.abort()  # it would be read as the response to the next request
            return
        self._http.receive_data(data)
        self._parse()

    def eof_received(self) -> None:
        """End a response that has no length, then let the transport close."""
        if self._response is not None:
            self._http.receive_data(b"")
            self._parse()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(WorkerUncertain(f"the connection broke: {error or 'the worker has closed it'}"))
        if not self.closed.done():
            self.closed.set_result(None)

    def _parse(self) -> None:
        """Take what has arrived; other calls get their turn after MAX_EVENTS parts."""
        for _ in range(MAX_EVENTS):
            if self._response is None or self._response.done():
                return
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._fail(_not_http(error))
                return
            if event is h11.NEED_DATA:
                return
            self._take(event)
        self._transport.pause_reading()
        self._loop.call_soon(self._continue)

    def _continue(self) -> None:
        self._transport.resume_reading()
        self._parse()

    def _take(self, event: Any) -> None:
        received = self._received
        if isinstance(event, h11.Data):
            received.content += event.data
            if len(received.content) > self._max_bytes:
                self._fail(WorkerMisbehaved(f"the response is longer than {self._max_bytes} bytes"))
        elif isinstance(event, h11.Response):
            received.status = event.status_code
            for name, value in event.headers:
                text = value.decode("latin-1")
                received.headers[name] = (
                    f"{received.headers[name]}, {text}" if name in received.headers else text
                )
            if received.headers.get(b"content-encoding", IDENTITY).lower() != IDENTITY:
                self._fail(WorkerMisbehaved("the response is encoded, which was not requested"))
        elif isinstance(event, h11.EndOfMessage):
            self._complete()
        elif not isinstance(event, h11.InformationalResponse):
            self._fail(_not_http(None))

    def _complete(self) -> None:
        """Return the response. If bytes follow it, the connection carries no other request."""
        is_done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if is_done and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
        if self._response is not None:
            self._response.set_result(self._received)

    def _fail(self, error: Exception) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)
            self.abort()


def _not_http(cause: Exception | None) -> WorkerUncertain:
    """Return the error without the library's message, which quotes the bytes that it could not parse."""
    error = WorkerUncertain("the connection broke, or the response is not HTTP")
    error.__cause__ = cause
    return error
