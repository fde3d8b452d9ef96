"""`gunicorn --worker-class=ktrdr_site.web.buffered_worker.BufferedWorker`: threads, none of which waits for a slow client.

gunicorn's threads read the requests and write the responses themselves, so as many slow clients as threads stop the site,
and its loop waits up to two seconds for each client to close a connection. Here the loop waits for all clients at once: a
thread gets a request when it has arrived, and its response is sent by the loop. Only long bodies are read by threads, which
are others than those of the pages, and `/health` has a thread of its own. Unit files name this path.
"""

import errno
import gc
import resource
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.errors import ConfigError
from gunicorn.workers.gthread import TConn, ThreadWorker

from access.leaving import LEAVING
from ktrdr_site.web.buffered_socket import SILENT_S, Arrival, BufferedSocket, Lane

REQUEST_WITHIN_S = 15.0
"""From the first byte or the connection to a request as far as the loop waits for it."""
LINGER_S = 2.0
"""For the client to close the connection after the last response (RFC 9112, section 9.6)."""
UPLOAD_THREADS, LIVENESS_THREADS = 4, 1
CHECK_S = 0.5
ACCEPT_AGAIN_S = 0.5
"""After no file was left for a connection."""
FULL = 0.9
"""Of `--worker-connections`."""
TRANSIENT = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK)
NO_FILE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
MOST_FILES = 65_536
COLLECT_AFTER = 10_000
"""New objects until Python looks for cycles among them. By default these are 700, less than a request creates."""


class BufferedWorker(ThreadWorker):  # type: ignore[misc]  # no types in the library
    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise ConfigError("This worker serves plain HTTP; terminate TLS in a proxy.")
        # The site is served at the root. From local proxies gunicorn would believe the headers SCRIPT_NAME and PATH_INFO,
        # also those that a proxy passes on from its client, who could so choose the address of redirects.
        cfg.set("forwarder_headers", "")

    def init_process(self) -> None:
        self._deadlines: dict[Any, float] = {}
        """Of the connections for whose client the loop waits."""
        self._without_request: dict[Any, None] = {}
        """In the order of their arrival."""
        self._check_due = self._accept_again = 0.0
        self._waiting_uploads: dict[Any, None] = {}
        """Connections whose body no thread reads yet."""
        self._uploads_in_progress: dict[Any, None] = {}
        self._uploads = ThreadPoolExecutor(UPLOAD_THREADS)
        self._liveness = ThreadPoolExecutor(LIVENESS_THREADS)
        _allow_files()
        gc.freeze()  # what is loaded stays, and need not be looked through
        gc.set_threshold(COLLECT_AFTER)
        super().init_process()

    def accept(self, listener: Any) -> None:
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in NO_FILE_LEFT:
                self._pause_accepting()
            elif error.errno not in TRANSIENT:
                raise
            return
        self._make_room()
        self.nr_conns += 1
        self._await_request(TConn(self.cfg, BufferedSocket(accepted), address, listener.getsockname()))

    def _make_room(self) -> None:
        """Near the limit, close the connection that has been idle for the longest: idle clients shut out nobody."""
        if self.nr_conns >= self.worker_connections * FULL:
            self._drop_idle()

    def _pause_accepting(self) -> None:
        """Free a file. The listener stays readable, so without a pause the loop would try again and again."""
        self._drop_idle()
        self._accept_again = time.monotonic() + ACCEPT_AGAIN_S
        self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled and time.monotonic() >= self._accept_again)

    def _drop_idle(self) -> None:
        if self._without_request:
            self._drop(next(iter(self._without_request)))
        elif self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self._drop(conn)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Receive the next request of a kept connection."""
        if conn not in self.keepalived_conns:  # dropped for an event of the same round of the loop
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def _await_request(self, conn: Any) -> None:
        if not self._proceed(conn):
            self._without_request[conn] = None
            self._watch(conn, selectors.EVENT_READ, self._proceed, REQUEST_WITHIN_S)

    def _proceed(self, conn: Any) -> bool:
        """Serve the request if it has arrived; return whether there is nothing to wait for."""
        arrival = conn.sock.look()
        if arrival is Arrival.MISSING:
            return False
        self._unwatch(conn)
        if arrival is Arrival.READY:
            self.enqueue_req(conn)
        else:
            self._drop(conn)
        return True

    def enqueue_req(self, conn: Any) -> None:
        conn.data_ready = True
        match conn.sock.lane:
            case Lane.UPLOAD:
                self._waiting_uploads[conn] = None
                future = self._uploads.submit(self._handle_upload, conn)
            case Lane.LIVENESS:
                future = self._liveness.submit(self.handle, conn)
            case _:
                future = self.tpool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def handle(self, conn: Any) -> Any:
        """Serve the request in a thread; return whether the connection is kept."""
        is_kept = super().handle(conn)
        try:
            conn.sock.flush()  # of a response without a body, the head
        except OSError:
            return False
        return is_kept

    def _handle_upload(self, conn: Any) -> Any:
        self._uploads_in_progress[conn] = None
        self._waiting_uploads.pop(conn, None)
        try:
            return self.handle(conn)
        finally:
            self._uploads_in_progress.pop(conn, None)

    def _end_slowest_upload(self, now: float) -> None:
        """While others wait for a thread, disconnect the slowest client that holds one: slow ones hold none for ever."""
        if not self._waiting_uploads:
            return
        rates = [(conn.sock.crowded_rate(now), conn.sock) for conn in list(self._uploads_in_progress)]
        slow = [(rate, sock) for rate, sock in rates if rate is not None]
        if slow:
            min(slow, key=lambda item: item[0])[1].give_up()

    def finish_request(self, conn: Any, future: "Future[Any]") -> None:
        """Send the rest of the response, then keep or close the connection."""
        if conn.sock.unsent and conn.sock.fileno() >= 0:
            conn.sock.setblocking(False)
            self._watch(conn, selectors.EVENT_WRITE, partial(self._on_writable, future=future), SILENT_S)
        else:
            self._after_response(conn, future)

    def _on_writable(self, conn: Any, future: "Future[Any]") -> None:
        try:
            conn.sock.flush()
        except OSError:
            self._drop(conn)
            return
        now = time.monotonic()
        self._deadlines[conn] = now + SILENT_S
        if conn.sock.takes_too_little(now):
            self._drop(conn)
            return
        if not conn.sock.unsent:
            self._unwatch(conn)
            self._after_response(conn, future)

    def _after_response(self, conn: Any, future: "Future[Any]") -> None:
        is_kept = not future.cancelled() and future.exception() is None and future.result()
        if is_kept:
            # The beginning of the next request may have been read together with this one.
            conn.sock.hand_over(conn.parser.unreader.buf.getvalue())
            super().finish_request(conn, future)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self._watch(conn, selectors.EVENT_READ, self._on_last_bytes, LINGER_S)
        except (OSError, ValueError):  # it is closed already
            self._drop(conn)

    def _on_last_bytes(self, conn: Any) -> None:
        if not conn.sock.discard():
            self._drop(conn)

    def _watch(self, conn: Any, events: int, act: Callable[[Any], object], within_s: float) -> None:
        self.poller.register(conn.sock, events, lambda _: self._act(conn, act))
        self._deadlines[conn] = time.monotonic() + within_s

    def _act(self, conn: Any, act: Callable[[Any], object]) -> None:
        """Act on an event, unless the connection was dropped for another event of the same round of the loop."""
        if conn in self._deadlines:
            act(conn)

    def _unwatch(self, conn: Any) -> None:
        if self._deadlines.pop(conn, None) is not None:
            self.poller.unregister(conn.sock)
        self._without_request.pop(conn, None)

    def _drop(self, conn: Any) -> None:
        self._unwatch(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close the connections whose time is over. The loop calls this after each event."""
        now = time.monotonic()
        if now < self._check_due:
            return
        self._check_due = now + CHECK_S
        self._end_slowest_upload(now)
        for conn in [conn for conn, deadline in self._deadlines.items() if deadline < now]:
            self._drop(conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Handle SIGTERM: requests that wait for a change respond now."""
        LEAVING.set()
        super().handle_exit(sig, frame)

    def _cap_keepalive(self, deadline: float) -> None:
        """Wait for no client beyond the deadline that has not sent a request: the worker stops."""
        super()._cap_keepalive(deadline)
        for conn in self._without_request:
            self._deadlines[conn] = min(self._deadlines[conn], deadline)


def _allow_files() -> None:
    """Raise the limit of open files: each connection is one, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
