"""What the tests of this folder share."""

from pathlib import Path

import httpx
import pytest
from ktrdr_client import Client

from tests.client.documented_site import DocumentedSite


@pytest.fixture
def site() -> DocumentedSite:
    return DocumentedSite()


@pytest.fixture
def client(site: DocumentedSite) -> Client:
    return Client("http://site", "secret", transport=httpx.MockTransport(site))


@pytest.fixture
def strategy(tmp_path: Path) -> str:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\n")
    return str(file)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ktrdr_client.retrying.FIRST_PAUSE_S", 0.001)
