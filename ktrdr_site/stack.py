"""Everything on one machine: in which order it starts and stops."""

import asyncio
import errno
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from ktrdr_site import preparation
from ktrdr_site.console import Console
from ktrdr_site.embedded import lease
from ktrdr_site.guard import Guard
from ktrdr_site.parent_death import die_with_parent
from ktrdr_site.preparation import NotReadyError
from ktrdr_site.services import Plan, demo_command, servers, workers
from ktrdr_site.supervisor import Supervisor

READY_TIMEOUT_S = 60
HOPELESS_STARTS = 4
# Together below the 15 s within which everything is to be gone.
WORKERS_GRACE_S = 7
SERVERS_GRACE_S = 4
DATABASE_GRACE_S = 3


async def run(plan: Plan) -> int:
    """Until a signal, or with `exit_after_demo` until the demo is over. Raises NotReadyError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    console = Console(sys.stdout, on_closed=stop.set)
    with _data_directory_lock(plan.data_dir), _listening_socket(plan) as listener:
        plan = replace(plan, port=listener.getsockname()[1])
        guard = Guard(settings.BASE_DIR)
        supervisor = Supervisor(console.line, guard.watch)
        try:
            return await _serve(plan, supervisor, console, listener, stop)
        finally:
            await _stop_everything(plan, supervisor)
            guard.dismiss()


async def _serve(
    plan: Plan, supervisor: Supervisor, console: Console, listener: socket.socket, stop: asyncio.Event
) -> int:
    first_start = not (plan.data_dir / "api-token").exists()
    await asyncio.to_thread(preparation.connect)
    token = preparation.worker_token(plan.data_dir)  # made here, before the servers read it
    await asyncio.to_thread(preparation.prepare, plan.data_dir)
    supervisor.start(servers(plan, listener))
    if not await _ready_or_stopped(plan, supervisor, stop):
        return 0
    # After the pages: what workers load for their jobs keeps every core busy for seconds.
    supervisor.start(workers(plan, token))
    console.plain(f"KTRDR is ready at {plan.url}/dashboard/")
    status = 0
    if plan.exit_after_demo or (plan.demo and first_start):
        status = await _demo(plan, stop)
    if plan.exit_after_demo:
        return status
    await stop.wait()
    return 0


@contextmanager
def _data_directory_lock(data_dir: Path) -> Iterator[None]:
    descriptor = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReadyError(
                f"data directory in use: {data_dir} belongs to another `manage.py up`; "
                "stop that one or choose another --data-dir"
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _listening_socket(plan: Plan) -> Iterator[socket.socket]:
    """Opened here and handed down, so that a restart of the web server refuses nobody."""
    with socket.socket(socket.AF_INET6 if ":" in plan.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((plan.host, plan.port))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise NotReadyError(
                f"port {plan.port} on {plan.host} {why}; choose another with --port"
            ) from None
        listener.listen(1024)
        yield listener


async def _ready_or_stopped(plan: Plan, supervisor: Supervisor, stop: asyncio.Event) -> bool:
    """Whether the web server answers; False when asked to stop before. Raises NotReadyError when it never will."""
    give_up = time.monotonic() + READY_TIMEOUT_S
    while not stop.is_set():
        if await _answers(plan):
            return True
        if supervisor.ended_early("web") >= HOPELESS_STARTS or time.monotonic() > give_up:
            raise NotReadyError("the web server does not start; its lines above say why")
        await asyncio.sleep(0.05)
    return False


async def _answers(plan: Plan) -> bool:
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(plan.reachable_host.strip("[]"), plan.port)
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in answer


async def _demo(plan: Plan, stop: asyncio.Event) -> int:
    """The exit status of `load_demo`, which writes to this terminal itself; 1 where it was stopped."""
    process = await asyncio.create_subprocess_exec(
        *demo_command(plan),
        env={**os.environ, "KTRDR_DATA_DIR": str(plan.data_dir)},
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    ended = asyncio.create_task(process.wait())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not ended.done():
        process.kill()  # it only watches: what it submitted is kept, and ends or is resumed without it
        await ended
        return 1
    return ended.result()


async def _stop_everything(plan: Plan, supervisor: Supervisor) -> None:
    """Workers first: what they still report needs the web server, which needs the database."""
    names = [service.name for service in workers(plan, "")]
    await supervisor.stop([*names, "dispatcher"], WORKERS_GRACE_S)
    await supervisor.stop_all(SERVERS_GRACE_S)
    await asyncio.to_thread(lease.release, plan.data_dir / "postgres", DATABASE_GRACE_S)
