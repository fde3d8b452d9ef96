"""Slow, silent and half-open clients hold no thread of the web server, and every kind of request still works."""

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from ktrdr_site.web.buffered_socket import BufferedSocket
from tests.faults.processes import free_port
from tests.waiting import until

THREADS = 2
CLIENTS = 12
"""More than all threads together: 2 for pages, 4 for long bodies, 1 for liveness."""
CONNECTIONS = 100
LARGE = 20_000_000
APPLICATION = f"""
import hashlib
from access.leaving import LEAVING
def application(environ, start_response):
    body = b"".join(iter(lambda: environ["wsgi.input"].read(65536), b""))
    if environ["PATH_INFO"] == "/large":
        content = [bytes({LARGE})]
    elif environ["PATH_INFO"] == "/wait":
        content = [b"left" if LEAVING.wait(60) else b"waited"]
    elif environ["PATH_INFO"] == "/script":
        content = [environ["SCRIPT_NAME"].encode() or b"none"]
    elif environ["PATH_INFO"] == "/file":
        file = open("large", "rb")
        start_response("200 OK", [("Content-Length", "{LARGE}")])
        return environ["wsgi.file_wrapper"](file)
    else:
        content = [hashlib.sha256(body).hexdigest().encode()]
    start_response("200 OK", [("Content-Length", str(len(content[0])))])
    return content
"""
CONFIGURATION = """
from ktrdr_site.web import buffered_socket
buffered_socket.CROWDED_S = 0.2
"""
"""Read by gunicorn: a shorter time, so that the tests need not wait for it."""
COMMAND = [
    sys.executable, "-m", "gunicorn", "application", "--worker-class=ktrdr_site.web.buffered_worker.BufferedWorker",
    "--workers=1", f"--threads={THREADS}", "--graceful-timeout=20", "--no-control-socket",
    f"--worker-connections={CONNECTIONS}",
]  # fmt: skip
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    directory = tmp_path_factory.mktemp("site")
    (directory / "application.py").write_text(APPLICATION)
    (directory / "gunicorn.conf.py").write_text(CONFIGURATION)
    (directory / "large").write_bytes(bytes(LARGE))
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*COMMAND, f"--bind=127.0.0.1:{port}"], cwd=directory, env=environment)
    until(lambda: can_connect(port), "the server listens")
    yield port, process
    process.terminate()
    process.wait(30)


@pytest.fixture
def port(server: tuple[int, "subprocess.Popen[bytes]"]) -> int:
    return server[0]


def can_connect(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def connect(port: int, sent: bytes = b"", buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    client.sendall(sent)
    return client


def ask(port: int, path: str = "/", body: bytes | None = None) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET" if body is None else "POST", path, body)
        return connection.getresponse().read()


def digest(body: bytes = b"") -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def head(*lines: str, method: str = "GET", path: str = "/") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


SLOW: dict[str, Callable[[int], socket.socket]] = {
    "silent": lambda port: connect(port),
    "a byte": lambda port: connect(port, b"G"),
    "half a head": lambda port: connect(port, head()[:-3]),
    "half a short body": lambda port: connect(port, head("Content-Length: 9", method="POST") + b"1234"),
    "half a long body": lambda port: connect(port, head("Content-Length: 99999", method="POST") + b"1234"),
    "half a body of a padded length": lambda port: connect(
        port, head(f"Content-Length: {9:019}", method="POST") + b"1234"
    ),
    "empty lines": lambda port: connect(port, b"\r\n\r\n"),
    "half a chunk": lambda port: connect(port, head("Transfer-Encoding: chunked", method="POST") + b"9\r\n1"),
    "half a second request": lambda port: connect(port, head() + head()[:20]),
    "no reading": lambda port: connect(port, head(path="/large"), buffer=4096),
    "no reading of a file": lambda port: connect(port, head(path="/file"), buffer=4096),
    "not closed after the last response": lambda port: connect(port, head("Connection: close")),
}


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_delay_nobody(kind: str, port: int) -> None:
    """They would hold all threads for as long as they like: an answer means that they do not."""
    clients = [SLOW[kind](port) for _ in range(CLIENTS)]
    try:
        for _ in range(THREADS + 1):
            assert ask(port) == digest()
        assert ask(port, "/health") == digest()
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("sent", [b"", head()[:20], head()], ids=["silent", "half a head", "kept"])
def test_idle_clients_beyond_the_limit_shut_out_nobody(sent: bytes, port: int) -> None:
    clients = []
    try:
        for _ in range(2 * CONNECTIONS):
            clients.append(connect(port, sent))
            if sent == head():
                assert clients[-1].recv(1) == b"H"
        assert ask(port) == digest()
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("path", ["/large", "/file"])
def test_a_slow_reader_gets_the_whole_response(path: str, port: int) -> None:
    with connect(port, head("Connection: close", path=path), buffer=4096) as client:
        assert ask(port) == digest()
        received = b"".join(iter(lambda: client.recv(1_000_000), b""))
    assert received.partition(b"\r\n\r\n")[2] == bytes(LARGE)


def test_slow_uploads_do_not_hold_the_threads_while_others_wait(port: int) -> None:
    """They send faster than the lowest rate, so without others nobody would end them."""
    length = head("Content-Length: 100000000", method="POST")
    clients = [connect(port, length + bytes(40_000)) for _ in range(CLIENTS)]
    is_over = threading.Event()

    def drip() -> None:
        while not is_over.wait(0.05):
            for client in clients:
                with suppress(OSError):  # it was disconnected
                    client.send(bytes(200))

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        body = os.urandom(1_000_000)
        assert ask(port, body=body) == digest(body)
    finally:
        is_over.set()
        thread.join()
        for client in clients:
            client.close()


def test_an_upload_whose_thread_computes_is_not_a_slow_one() -> None:
    ours, theirs = socket.socketpair()
    with BufferedSocket(ours) as upload, theirs:
        upload.hand_over(b"")
        theirs.send(b"x")
        upload.setblocking(True)
        upload.recv(1)
        assert upload.crowded_rate(time.monotonic() + 1000) is None


@pytest.mark.parametrize("size", [0, 1, 10_000, 32 * 1024, 40_000, 3_000_000])
def test_bodies_of_every_length_arrive_as_they_were_sent(size: int, port: int) -> None:
    body = os.urandom(size)
    assert ask(port, body=body) == digest(body)


def test_a_body_that_arrives_in_pieces_arrives_as_it_was_sent(port: int) -> None:
    request = head("Content-Length: 8", "Connection: close", method="POST") + b"12345678"
    with connect(port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(request)):
            client.sendall(request[position : position + 1])
        assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(digest(b"12345678"))


def test_a_chunked_body_and_one_that_waits_for_a_continue_arrive(port: int) -> None:
    chunked = (
        head("Transfer-Encoding: chunked", "Connection: close", method="POST") + b"3\r\nabc\r\n0\r\n\r\n"
    )
    with connect(port, chunked) as client:
        assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(digest(b"abc"))
    expecting = head("Content-Length: 3", "Expect: 100-continue", "Connection: close", method="POST")
    with connect(port, expecting) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 100")
        client.sendall(b"abc")
        assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(digest(b"abc"))


def test_a_connection_serves_many_requests_also_at_once(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        for number in range(5):
            connection.request("POST", "/", body := b"x" * number * 9000)
            assert connection.getresponse().read() == digest(body)
        connection.request("HEAD", "/large")
        response = connection.getresponse()
        assert (response.read(), response.headers["Content-Length"]) == (b"", str(LARGE))
    with connect(port, head() * 3 + head("Connection: close")) as client:
        assert b"".join(iter(lambda: client.recv(4096), b"")).count(digest()) == 4


@pytest.mark.parametrize(
    "header",
    ["SCRIPT_NAME: /script", "SCRIPT_NAME: //evil.example", "PATH_INFO: /large", "Script-Name: /script"],
)
def test_a_client_does_not_choose_where_the_site_is(header: str, port: int) -> None:
    """It comes from a local address, as a proxy that passes its client's headers on."""
    with connect(port, head(header, "Connection: close", path="/script")) as client:
        response = b"".join(iter(lambda: client.recv(4096), b""))
    assert response.endswith(b"\r\n\r\nnone")


def test_what_is_not_http_is_refused(port: int) -> None:
    for sent in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"x" * 40_000 + b"\r\n\r\n",
    ):
        with connect(port, sent) as client:
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(4096), b""))
            assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 414")
    assert ask(port) == digest()


def test_a_stop_finishes_responses_answers_waits_and_waits_for_no_silent_client(
    server: tuple[int, "subprocess.Popen[bytes]"],
) -> None:
    """The last test: it ends the server."""
    port, process = server
    silent = [connect(port), connect(port, head()[:-3])]
    waiting = connect(port, head("Connection: close", path="/wait"))
    reader = connect(port, head("Connection: close", path="/large"), buffer=4096)
    assert reader.recv(1) == b"H"
    process.send_signal(signal.SIGTERM)
    received = b"".join(iter(lambda: reader.recv(1_000_000), b""))
    assert received.endswith(bytes(LARGE))
    assert b"".join(iter(lambda: waiting.recv(4096), b"")).endswith(b"left")
    assert process.wait(15) == 0  # less than the graceful timeout
    for client in (*silent, waiting, reader):
        client.close()
