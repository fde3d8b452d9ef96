"""A client's connection that is read and written as fast as the client allows, without a thread that waits for it.

The server's loop asks whether a request has arrived; until then its bytes stay in the kernel. A response that the client
does not take at once is kept here, and the loop sends it whenever the client takes more.
"""

import errno
import os
import re
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_PEEK = 32 * 1024
"""Bytes of a request for which the loop waits; the kernel's buffer holds more than that."""
SILENT_S = 60.0
"""Without a byte for so long, a client is disconnected."""
SLOW_S, SLOW_BYTES_S = 30.0, 1024
"""A thread that has waited so long for a body, and got less than that rate, disconnects the client."""
CROWDED_S, CROWDED_BYTES_S = 10.0, 64 * 1024
"""The same while other clients wait for a thread: then the slowest of those below the rate is disconnected."""
HELD_S, HELD_BYTES_S = 60.0, 8 * 1024
"""After so long, a client that took less of its response than that rate is disconnected."""
MAX_HELD = 64 * 1024**2
"""Bytes of a response that are kept in memory; then its thread waits. Files are not kept in memory."""
MAX_JOINED = 64 * 1024
"""A longer part of a response is not copied behind its head."""
STEP = 256 * 1024
UNKNOWN = sys.maxsize
STEPS = 16
"""Steps of sending at a time, so that one fast client does not occupy the loop."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_LATER_BODY = re.compile(rb"\r\n(transfer-encoding|expect):", re.IGNORECASE)
_OTHER_LENGTH = re.compile(rb"\r\ncontent-length", re.IGNORECASE)
"""A length in another form: the server's parser takes some, such as one with leading zeros."""
_LIVENESS = re.compile(rb"(GET|HEAD) /health[ ?]")


class Arrival(StrEnum):
    """Of the next request."""

    READY = "ready"
    MISSING = "missing"
    CLOSED = "closed"


class Lane(StrEnum):
    """Which threads serve a request."""

    PAGE = "page"
    """It has arrived as a whole."""
    UPLOAD = "upload"
    """Its body is too long or comes later; the thread may wait for it."""
    LIVENESS = "liveness"


@dataclass(slots=True)
class Held:
    """Bytes that the client has not taken yet."""

    view: memoryview

    def send(self, descriptor: int) -> bool:
        """Send a part; return whether that was the last one. Raises BlockingIOError."""
        self.view = self.view[os.write(descriptor, self.view[:STEP]) :]
        return not self.view

    @property
    def in_memory(self) -> int:
        return len(self.view)

    @property
    def remaining(self) -> int:
        return len(self.view)

    def close(self) -> None:
        self.view = self.view[:0]


@dataclass(slots=True)
class HeldFile:
    """A part of a file that the client has not taken yet."""

    file: int
    offset: int
    remaining: int

    def send(self, descriptor: int) -> bool:
        """Send a part; return whether that was the last one. Raises BlockingIOError."""
        sent = os.sendfile(descriptor, self.file, self.offset, min(self.remaining, STEP))
        if not sent:
            raise OSError("the file became shorter while it was sent")
        self.offset += sent
        self.remaining -= sent
        return not self.remaining

    @property
    def in_memory(self) -> int:
        return 0

    def close(self) -> None:
        os.close(self.file)


class BufferedSocket(socket.socket):
    """Takes the place of the accepted socket."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self.lane = Lane.PAGE
        self.unsent: deque[Held | HeldFile] = deque()
        self._held = 0
        """Bytes of `unsent` in memory. Counted along: a response may consist of many thousand parts."""
        self._awaits_head = True
        self._head = b""
        """Of the response, until its first part follows: the client wakes up once for both."""
        self._seen = 0
        self._waited_s = 0.0
        self._received = 0
        self._receives_since: float | None = None
        self._is_given_up = False
        self._held_since: float | None = None
        self._taken = 0

    def look(self) -> Arrival:
        """Return whether a thread can go on with the next request: it has arrived, or the thread must wait itself.

        If not, the socket becomes readable only when more bytes are there.
        """
        try:
            data = super().recv(MAX_PEEK, socket.MSG_PEEK)
        except BlockingIOError:
            return Arrival.MISSING
        except OSError:
            return Arrival.CLOSED
        if not data:
            return Arrival.CLOSED
        length = _length_of(data)
        is_whole = 0 < length <= len(data)
        # Readable, but not more than before: the client will send nothing any more.
        if is_whole or length > MAX_PEEK or len(data) in (MAX_PEEK, self._seen):
            self.hand_over(data)
            return Arrival.READY
        self._seen = len(data)
        self._wake_up_at(max(length, self._seen + 1))
        return Arrival.MISSING

    def hand_over(self, data: bytes) -> None:
        """Choose the lane of the request that starts with the data."""
        if self._seen:
            self._wake_up_at(1)
        self._seen, self._waited_s, self._received = 0, 0.0, 0
        self._held_since, self._taken = None, 0
        self._awaits_head = True
        if not 0 < _length_of(data) <= len(data):
            self.lane = Lane.UPLOAD
        else:
            self.lane = Lane.LIVENESS if _LIVENESS.match(data) else Lane.PAGE

    def _wake_up_at(self, number: int) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, number)

    def setblocking(self, flag: bool) -> None:
        """Even a blocking call ends when the client is silent; the descriptor itself never blocks."""
        self.settimeout(SILENT_S if flag else 0.0)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive for a thread. Raises ConnectionResetError if the client is silent or too slow."""
        self._receives_since = started = time.monotonic()
        try:
            data = super().recv(size, flags)
        except TimeoutError as error:
            raise _reset("the client is silent") from error
        finally:
            self._receives_since = None
        self._waited_s += time.monotonic() - started
        self._received += len(data)
        if self._is_given_up:
            raise _reset("the client is too slow while others wait")
        if self._waited_s > SLOW_S and self._received < self._waited_s * SLOW_BYTES_S:
            raise _reset("the client is too slow")
        return data

    def crowded_rate(self, now: float) -> float | None:
        """Return the bytes a second of its body, None if the client is fast enough or its thread is not waiting for it."""
        since = self._receives_since
        if since is None or (waited := self._waited_s + now - since) < CROWDED_S:
            return None
        rate = self._received / waited
        return rate if rate < CROWDED_BYTES_S else None

    def give_up(self) -> None:
        """End the wait of the thread that receives a body."""
        self._is_given_up = True
        self.shutdown(socket.SHUT_RD)

    def takes_too_little(self, now: float) -> bool:
        """Return whether the client takes its response so slowly that it is not worth keeping."""
        if self._held_since is None:
            self._held_since = now
        held_s = now - self._held_since
        return held_s > HELD_S and self._taken < held_s * HELD_BYTES_S

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send what the client takes now, and keep the rest. The head waits for the next part, or for `flush`."""
        is_short = len(data) <= MAX_JOINED
        if self._awaits_head and is_short:
            self._awaits_head, self._head = False, bytes(data)
            return
        if self._head and is_short:
            data, self._head = self._head + data, b""
        self._hold_head()
        self._hold(data)
        self.flush()
        while self._held > MAX_HELD:
            self._wait_until_writable()
            self.flush()

    def _hold_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._hold(head)

    def _hold(self, data: Any) -> None:
        part = Held(memoryview(data))
        self.unsent.append(part)
        self._held += part.in_memory

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a part of the file, which may be closed afterwards."""
        length = os.fstat(file.fileno()).st_size - offset if count is None else count
        self._hold_head()
        self.unsent.append(HeldFile(os.dup(file.fileno()), offset, length))
        self.flush()
        return length

    def _wait_until_writable(self) -> None:
        poll = select.poll()
        poll.register(self, select.POLLOUT)
        if not poll.poll(SILENT_S * 1000):
            raise _reset("the client takes nothing of the response")

    def flush(self) -> None:
        """Send as much as the client takes, within limits. Raises OSError if the connection is broken."""
        self._hold_head()
        try:
            for _ in range(STEPS):
                if not self.unsent:
                    return
                part = self.unsent[0]
                before, remaining = part.in_memory, part.remaining
                is_sent = part.send(self.fileno())
                self._held -= before - part.in_memory
                self._taken += remaining - part.remaining
                if is_sent:
                    self.unsent.popleft().close()
        except BlockingIOError:
            return

    def discard(self) -> bool:
        """Read what the client still sends after the response; return whether it may send more."""
        try:
            return bool(super().recv(STEP))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        while self.unsent:
            self.unsent.popleft().close()
        super().close()


def _length_of(data: bytes) -> int:
    """Return the bytes of the request that starts with `data`: 0 if its head is not complete, UNKNOWN without a plain length."""
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return 0
    if _LATER_BODY.search(head):
        return UNKNOWN
    length = _LENGTH.search(head + b"\r\n")
    if length is None and _OTHER_LENGTH.search(head):
        return UNKNOWN
    return len(head) + len(end) + (int(length[1]) if length else 0)


def _reset(reason: str) -> ConnectionResetError:
    """Return the error that gunicorn expects of clients, and does not log."""
    return ConnectionResetError(errno.ECONNRESET, reason)
