"""The web server's loop handles each connection event by event; `test_slow_clients` tests the server as a whole."""

import selectors
import socket
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from ktrdr_site.web import buffered_socket
from ktrdr_site.web.buffered_socket import BufferedSocket
from ktrdr_site.web.buffered_worker import BufferedWorker

STEP = 300_000


@pytest.fixture
def pair() -> Iterator[tuple[BufferedSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with BufferedSocket(ours) as buffered, theirs:
        buffered.setblocking(False)
        yield buffered, theirs


def full_worker() -> Any:
    """Return a worker with room for no further connection, of which only the loop is used."""
    worker: Any = BufferedWorker.__new__(BufferedWorker)
    worker.poller, worker.keepalived_conns = selectors.DefaultSelector(), deque()
    worker._deadlines, worker._without_request = {}, {}
    worker.nr_conns = worker.worker_connections = 1
    return worker


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_event_of_a_connection_that_made_room_is_ignored(
    is_kept: bool, pair: tuple[BufferedSocket, socket.socket]
) -> None:
    ours, theirs = pair
    worker, conn = full_worker(), TConn(Config(), ours, "", "")
    if is_kept:
        worker.keepalived_conns.append(conn)
        worker.poller.register(ours, selectors.EVENT_READ, partial(worker.on_client_socket_readable, conn))
    else:
        worker._await_request(conn)
    theirs.send(b"GET / HTTP/1.1\r\n\r\n")
    [(key, _)] = worker.poller.select(1)
    worker._make_room()  # an earlier event of the same round: a new connection
    key.data(key.fileobj)
    assert worker.nr_conns == 0


def test_a_response_of_many_parts_is_held_up_to_the_limit(
    pair: tuple[BufferedSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    received = []
    monkeypatch.setattr(buffered_socket, "MAX_HELD", 100_000)
    monkeypatch.setattr(BufferedSocket, "_wait_until_writable", lambda _: received.append(theirs.recv(STEP)))
    parts = [bytes([number % 256]) * 1000 for number in range(1000)]
    for part in parts:
        ours.sendall(part)
        assert sum(part.in_memory for part in ours.unsent) <= buffered_socket.MAX_HELD
    assert received
    while ours.unsent:
        received.append(theirs.recv(STEP))
        ours.flush()
    theirs.setblocking(False)
    while sum(map(len, received)) < 1_000_000:
        received.append(theirs.recv(STEP))
    assert b"".join(received) == b"".join(parts)
