"""The web server's loop handles each connection event by event; `test_slow_clients` tests the server as a whole."""

import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from ktrdr_site.web import buffered_socket
from ktrdr_site.web.buffered_socket import BufferedSocket
from ktrdr_site.web.buffered_worker import NO_FILE_LEFT, BufferedWorker

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


class FullListener:
    """Has a connection for which no file is left."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tries = 0
        self.pair = socket.socketpair()

    def fileno(self) -> int:
        return self.pair[0].fileno()

    def setblocking(self, flag: bool) -> None:
        """Do nothing."""

    def accept(self) -> Any:
        self.tries += 1
        raise OSError(self.number, "no file is left")


@pytest.mark.parametrize("number", NO_FILE_LEFT)
def test_without_a_file_left_the_server_frees_one_and_pauses(
    number: int, pair: tuple[BufferedSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    worker, conn, listener = full_worker(), TConn(Config(), pair[0], "", ""), FullListener(number)
    worker.nr_conns, worker.worker_connections = 1, 100
    worker.sockets, worker._accepting, worker._accept_again = [listener], False, 0.0
    worker.set_accept_enabled(True)
    worker._await_request(conn)
    listener.pair[1].send(b"a client")
    for _ in range(10):  # rounds of the loop, in which the listener is readable all the time
        for key, _ in worker.poller.select(0):
            key.data(key.fileobj)
        worker.set_accept_enabled(True)
    assert listener.tries == 1
    assert worker.nr_conns == 0, "the idle connection is closed"
    now += 1
    worker.set_accept_enabled(True)
    for key, _ in worker.poller.select(0):
        key.data(key.fileobj)
    assert listener.tries == 2
    for end in listener.pair:
        end.close()


@pytest.mark.parametrize("is_slow", [True, False])
def test_a_client_that_takes_almost_nothing_of_its_response_is_disconnected(
    is_slow: bool, pair: tuple[BufferedSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    ours, theirs = pair
    worker, conn = full_worker(), TConn(Config(), ours, "", "")
    ours.hand_over(b"")
    ours.sendall(bytes(50_000_000))
    worker.finish_request(conn, Future())
    for _ in range(200):  # rounds of the loop, seven seconds apart
        now += 7.0
        theirs.recv(16_000 if is_slow else STEP)
        for key, _ in worker.poller.select(0):
            key.data(key.fileobj)
    assert bool(ours.unsent) is not is_slow, "what is held for a dropped client is forgotten"
    assert worker.nr_conns == (0 if is_slow else 1)


def test_a_client_wakes_up_once_for_the_head_and_the_first_part_of_a_response(
    pair: tuple[BufferedSocket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.setblocking(False)
    for part in (b"body", bytes(STEP)):
        ours.hand_over(b"")
        ours.sendall(b"head")
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        ours.sendall(part)
        received = theirs.recv(1000)
        assert received.startswith(b"head" + part[:4])
        while ours.unsent or len(received) < len(part) + 4:
            received += theirs.recv(STEP)
            ours.flush()
        ours.sendall(b"next")
        assert theirs.recv(1000) == b"next"


def test_a_head_is_sent_without_a_part_and_before_a_file(
    pair: tuple[BufferedSocket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = pair
    ours.sendall(b"head")
    ours.flush()
    assert theirs.recv(1000) == b"head"
    path = tmp_path / "file"
    path.write_bytes(b"file")
    ours.hand_over(b"")
    ours.sendall(b"head")
    with path.open("rb") as file:
        ours.sendfile(file)
    ours.flush()
    assert theirs.recv(4) + theirs.recv(1000) == b"headfile"


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
