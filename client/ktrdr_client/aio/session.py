"""HTTP with the site: credentials, retries, idempotency keys and problem documents."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from ktrdr_client.problems import NotReachable, problem_of
from ktrdr_client.retrying import MAX_TRIES, is_temporary, pause_s
from ktrdr_client.version import VERSION

Json = dict[str, Any]


def part(name: str) -> str:
    """Return text as one part of a path. Raises ValueError for an empty one, which would address the list."""
    if not name:
        raise ValueError("An id or a name is empty.")
    return quote(name, safe="").replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


class AsyncSession:
    def __init__(
        self, url: str, token: str, *, timeout_s: float, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        headers = {"User-Agent": f"ktrdr-client/{VERSION}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=timeout_s, transport=transport, follow_redirects=True
        )

    async def request(
        self, method: str, path: str, *, retry: bool, hidden: str = "", **options: Any
    ) -> httpx.Response:
        """Send a request; with `retry`, again after a failure that may be temporary. Raises ProblemError, NotReachable.

        The error does not show the text `hidden`, even if the response does.
        """
        for number in range(MAX_TRIES):
            is_last = not retry or number == MAX_TRIES - 1
            response = None
            try:
                response = await self.http.request(method, path, **options)
            except httpx.TransportError as error:
                if is_last:
                    reason = str(error) or type(error).__name__
                    raise NotReachable(f"{self.http.base_url} is not reachable: {reason}") from error
            if response is not None and (is_last or not is_temporary(response)):
                if response.is_success:
                    return response
                raise problem_of(response, hidden)
            await asyncio.sleep(pause_s(number, response))
        raise AssertionError("the last try returns or raises")

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        # An empty dictionary would remove the query of the path.
        response = await self.request("GET", path, retry=True, params=_without_none(params) or None)
        return response.json()

    async def content(self, path: str) -> bytes:
        response = await self.request("GET", path, retry=True, headers={"Accept": "*/*"})
        return response.content

    async def create(self, path: str, **options: Any) -> Json:
        """Send a POST that creates something, with an idempotency key, so that a repetition creates nothing twice."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        response = await self.request("POST", path, retry=True, headers=headers, **options)
        return dict(response.json())

    async def act(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        hidden: str = "",
    ) -> Json:
        """Send a request that changes something. It is not repeated: the first one may have arrived."""
        query = _without_none(params)
        response = await self.request(method, path, retry=False, hidden=hidden, json=body, params=query)
        return dict(response.json()) if response.content else {}

    async def pages(
        self, path: str, params: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> AsyncIterator[Json]:
        """Yield the rows of all pages of a list, at most `limit`."""
        left = limit
        query: dict[str, Any] = {**_without_none(params), "limit": min(limit or 200, 200)}
        address: str | None = path
        while address is not None and left != 0:
            page = await self.get(address, query)
            for row in page["results"][:left]:
                yield row
            if left is not None:
                left = max(0, left - len(page["results"]))
            address, query = self._below(page["next"]), {}

    def _below(self, address: str | None) -> str | None:
        """Return the path and query of the next page: behind a proxy the site may not know its own address."""
        if address is None:
            return None
        prefix = self.http.base_url.raw_path.decode().rstrip("/")
        return httpx.URL(address).raw_path.decode().removeprefix(prefix)


def _without_none(params: Mapping[str, Any] | None) -> dict[str, Any]:
    values = {name: value for name, value in (params or {}).items() if value is not None}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
