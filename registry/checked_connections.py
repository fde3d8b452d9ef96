"""Connections to workers go to addresses that were checked at that moment.

A name is checked when its worker registers, and may resolve to another address at any later time: to a metadata service
or to a host of the internal network. So each connection resolves it once, checks all addresses, and uses these.
"""

import asyncio
import ipaddress
from collections.abc import Iterable
from functools import lru_cache

import httpcore
from django.conf import settings

from access.outbound import BadAddress, IPAddress
from registry import worker_urls


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for an httpcore pool. A TLS certificate must still be valid for the name."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Try the host's addresses in turn. Raises httpcore.ConnectError, httpcore.ConnectTimeout."""
        try:
            addresses = await _addresses_of(host)
        except BadAddress as error:
            raise httpcore.ConnectError(str(error)) from error
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._backend.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._backend.connect_tcp(addresses[-1], port, share, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


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
