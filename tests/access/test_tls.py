"""TLS to workers under a private CA: the right certificate passes, every mix-up is refused in a sentence."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.core.exceptions import ImproperlyConfigured

from ktrdr_site import environment
from registry.endpoint import Endpoint
from registry.health_checks import check_all
from registry.models import Worker
from tests.access.callers import bearer
from tests.registry.test_registration import MESSAGE
from tests.side_loop import side_loop
from worker_agent.certificate import server_context
from worker_agent.options import read_options
from worker_agent.testing import StubWorker

pytestmark = pytest.mark.django_db
Serve = Callable[..., StubWorker]


def write(directory: Path, ca: trustme.CA, *names: str) -> tuple[Path, Path]:
    """(certificate, key) of a worker, as files."""
    issued = ca.issue_cert(*names)
    certificate, key = directory / f"{names[0]}.pem", directory / f"{names[0]}.key"
    issued.private_key_pem.write_to_path(key)
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(certificate, append=number > 0)
    return certificate, key


@pytest.fixture
def ca(tmp_path: Path, settings: Any) -> trustme.CA:
    """The backend's own."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings.WORKER_CA = tmp_path / "ca.pem"
    settings.WORKER_TOKEN = "the-enrolment-token"
    return made


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(context)`: a worker that serves with this certificate, or without TLS."""
    with side_loop() as run:
        serving: list[StubWorker] = []

        def make(context: ssl.SSLContext | None) -> StubWorker:
            stub = StubWorker("gpu-1", "http://127.0.0.1:1", "")
            stub.tls = context
            run(stub.__aenter__())
            serving.append(stub)
            return stub

        yield make
        for stub in serving:
            run(stub.__aexit__(None, None, None))


def register(url: str, instance_id: str = "first") -> Any:
    body = {**MESSAGE, "endpoint_url": url, "instance_id": instance_id}
    return bearer("the-enrolment-token").post("/workers/register", body, content_type="application/json")


def reason_of(answer: Any) -> str:
    assert answer.status_code == 422, answer.content
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/endpoint_url"
    assert not Worker.objects.exists()
    return str(error["detail"])


def test_a_worker_with_a_certificate_of_the_ca_is_registered_and_asked_over_tls(
    ca: trustme.CA, tmp_path: Path, serve: Serve
) -> None:
    stub = serve(server_context(*write(tmp_path, ca, "127.0.0.1")))
    assert register(stub.url, stub.instance_id).status_code == 200
    answers = check_all([Endpoint("gpu-1", stub.instance_id, stub.url, must_prove=False)])
    assert not answers.failed
    assert answers.healthy["gpu-1"].instance_id == stub.instance_id
    assert stub.count("health") == 1


def test_a_certificate_for_another_address_is_refused(ca: trustme.CA, tmp_path: Path, serve: Serve) -> None:
    stub = serve(server_context(*write(tmp_path, ca, "10.0.0.1", "gpu.example.org")))
    assert "does not match the name or address in its URL" in reason_of(register(stub.url))


def test_a_certificate_of_another_ca_is_refused(ca: trustme.CA, tmp_path: Path, serve: Serve) -> None:
    stub = serve(server_context(*write(tmp_path, trustme.CA(), "127.0.0.1")))
    assert "not signed by the CA in KTRDR_WORKER_CA" in reason_of(register(stub.url))


def test_a_worker_that_says_https_and_speaks_http_is_refused(ca: trustme.CA, serve: Serve) -> None:
    stub = serve(None)
    assert "does not speak TLS" in reason_of(register(stub.url.replace("http:", "https:")))


def test_plain_http_is_refused_where_a_ca_is_set(ca: trustme.CA, serve: Serve) -> None:
    assert "this backend requires TLS" in reason_of(register(serve(None).url))


def test_https_is_refused_where_no_ca_is_set(
    ca: trustme.CA, tmp_path: Path, serve: Serve, settings: Any
) -> None:
    settings.WORKER_CA = None
    stub = serve(server_context(*write(tmp_path, ca, "127.0.0.1")))
    assert "this backend has no KTRDR_WORKER_CA" in reason_of(register(stub.url))


def test_a_certificate_that_changed_after_the_registration_is_not_spoken_to(
    ca: trustme.CA, tmp_path: Path, serve: Serve
) -> None:
    stub = serve(server_context(*write(tmp_path, trustme.CA(), "127.0.0.1")))
    answers = check_all([Endpoint("gpu-1", stub.instance_id, stub.url, must_prove=False)])
    assert "not signed by the CA in KTRDR_WORKER_CA" in answers.failed["gpu-1"]
    assert stub.count("health") == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tls-cert", "worker.pem"], "must be set together"),
        (["--tls-cert", "none.pem", "--tls-key", "none.key"], "none.pem does not exist"),
        (["--tls-cert", "other.pem", "--tls-key", "worker.key"], "do not match"),
        (["--tls-cert", "worker.pem", "--tls-key", "worker.key", "--public-url", "http://a:1"], "https://"),
        (["--public-url", "https://a:1"], "http://"),
    ],
)
def test_an_agent_that_cannot_serve_as_it_is_told_says_so_at_its_start(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    for name in ("worker", "other"):
        write(tmp_path, authority, name)
    with pytest.raises(SystemExit):
        read_options(None, 5003, ["--port", "0", *arguments])
    assert says in capsys.readouterr().err


def test_an_agent_with_a_certificate_announces_an_https_address(tmp_path: Path) -> None:
    certificate, key = write(tmp_path, trustme.CA(), "127.0.0.1")
    options = read_options(None, 5003, ["--port", "0", "--tls-cert", str(certificate), "--tls-key", str(key)])
    assert options.public_url == f"https://127.0.0.1:{options.port}"


def test_a_ca_that_cannot_be_read_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        monkeypatch.setenv("KTRDR_WORKER_CA", str(path))
        with pytest.raises(ImproperlyConfigured, match=r"KTRDR_WORKER_CA=.* cannot be used"):
            environment.certificates("KTRDR_WORKER_CA")
