"""Connections to workers go to addresses that were checked at that moment.

A name is checked when its worker registers, and may resolve to another address at any later time: to a metadata service
or to a host of the internal network. So each connection resolves it once, checks all addresses, and uses these.
"""

import asyncio
import ipaddress
import os
import ssl
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings

from access.outbound import BadAddress, IPAddress
from registry import tls, worker_urls
from registry.http_connection import HttpConnection
from registry.worker_errors import WorkerRefused

TLS_SHUTDOWN_S = 2.0
"""Until a connection is closed although the worker has not confirmed that."""


class Origin(NamedTuple):
    is_tls: bool
    host: str
    """A name or an address, without brackets."""
    port: int


async def connect(origin: Origin, timeout_s: float) -> HttpConnection:
    """Try the host's addresses in turn. A TLS certificate must be valid for the host. Raises WorkerRefused."""
    try:
        addresses = await _addresses_of(origin.host)
    except BadAddress as error:
        raise WorkerRefused(f"cannot connect: {error}") from error
    for address in addresses[:-1]:
        try:
            async with asyncio.timeout(timeout_s / len(addresses)):
                return await _open(origin, address)
        except OSError:  # TimeoutError too
            continue
    try:
        return await _open(origin, addresses[-1])
    except OSError as error:
        raise WorkerRefused(f"cannot connect: {tls.explain(error) or _message_of(error)}") from error


async def _open(origin: Origin, address: str) -> HttpConnection:
    loop = asyncio.get_running_loop()
    if not origin.is_tls:
        _, connection = await loop.create_connection(HttpConnection, address, origin.port)
        return connection
    _, connection = await loop.create_connection(
        HttpConnection,
        address,
        origin.port,
        ssl=tls.context(),
        server_hostname=origin.host,
        ssl_shutdown_timeout=TLS_SHUTDOWN_S,
    )
    return connection


def _message_of(error: OSError) -> str:
    """Return the reason without the address that asyncio adds, which is the worker's."""
    if isinstance(error, ssl.SSLError) or not error.errno:
        return str(error) or type(error).__name__
    return os.strerror(error.errno)


async def _addresses_of(host: str) -> list[str]:
    """Return the addresses to connect to. Raises BadAddress."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        addresses: list[IPAddress] = await asyncio.to_thread(worker_urls.resolve_allowed, host)
        return list(dict.fromkeys(map(str, addresses)))
    _require_allowed(host, tuple(settings.WORKER_NETWORKS))
    return [host]


@lru_cache(maxsize=4096)
def _require_allowed(address: str, networks: tuple[str, ...]) -> None:
    """Check an address, which needs no resolver; the networks are part of the key. Raises BadAddress."""
    worker_urls.resolve_allowed(address)
