"""A backend may redirect a download to a signed address of another service, which gets no token."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.agent.conftest import TOKEN
from tests.agent.test_encodings import registration
from worker_agent.backend.client import BackendClient
from worker_agent.backend.errors import BackendError, Corrupt
from worker_agent.testing import FakeBackend

CONTENT = b"of A"
SIGNED = "/files/a?X-Amz-Credential=ktrdr%2F20261130&X-Amz-Signature=0f"


class Service:
    """Another server, with what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answer = web.Response(body=CONTENT)

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return self.answer


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    service = Service()
    application = web.Application()
    application.router.add_get("/{path:.*}", service.get)
    async with TestServer(application) as server:
        yield service, str(server.make_url("")).rstrip("/")


async def download(backend: FakeBackend, address: str, target: Path, status: int = 307) -> None:
    async def redirect(_: web.Request, __: Any) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": address})

    kept = backend.keep("a.txt", CONTENT)
    async with BackendClient(backend.url, TOKEN) as client:
        client.worker_token = (await client.register(registration())).worker_token
        backend.instead["get_file"].append(redirect)
        await client.get_file(kept.sha256, target, kept.size, "secret of the attempt")


async def test_the_file_is_fetched_from_a_signed_address_without_a_secret(
    backend: FakeBackend, service: tuple[Service, str], tmp_path: Path
) -> None:
    other, url = service
    await download(backend, url + SIGNED, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    (request,) = other.requests
    assert request.path_qs == SIGNED, "as it was signed"
    sent = " ".join(f"{name}: {value}" for name, value in request.headers.items())
    assert "Authorization" not in sent
    assert "secret of the attempt" not in sent


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response(body=b"of B"), Corrupt),
        (web.Response(status=403), BackendError),
        (
            web.Response(status=307, headers={"Location": "http://127.0.0.1:1/?X-Amz-Signature=0f"}),
            BackendError,
        ),
    ],
    ids=["other content", "expired", "one more redirect"],
)
async def test_what_the_service_answers_is_not_trusted(
    backend: FakeBackend,
    service: tuple[Service, str],
    tmp_path: Path,
    answer: web.Response,
    error: type[Exception],
) -> None:
    other, url = service
    other.answer = answer
    with pytest.raises(error):
        await download(backend, url + SIGNED, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("address", "status"), [("/files/a", 307), (SIGNED, 302), (SIGNED, 301)])
async def test_no_other_redirect_is_followed(
    backend: FakeBackend, service: tuple[Service, str], tmp_path: Path, address: str, status: int
) -> None:
    other, url = service
    with pytest.raises(BackendError, match="a worker follows no redirect"):
        await download(backend, url + address, tmp_path / "file", status)
    assert other.requests == []
