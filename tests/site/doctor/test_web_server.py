"""Faults of settings and the web server are found."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ktrdr_site.doctor import site
from ktrdr_site.doctor.finding import Severity
from tests.faults.certificates import Certificates
from tests.site.doctor.findings import only


def test_debug_and_any_host_are_found(settings: Any) -> None:
    settings.DEBUG = True
    assert "KTRDR_DEBUG is on" in only(site.insecure_settings()).problem
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["*"]
    assert "KTRDR_ALLOWED_HOSTS is *" in only(site.insecure_settings(), Severity.WARNING).problem


def test_a_port_where_nothing_listens_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    finding = only(site.responds(f"http://127.0.0.1:{port}"))
    assert f"Nothing is listening at 127.0.0.1:{port}" in finding.problem
    assert "manage.py up" in finding.remedy


def test_a_web_server_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        finding = only(site.responds(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert "does not respond within 0.2 s" in finding.problem


@pytest.fixture
def stranger() -> Iterator[Callable[..., str]]:
    """Start another program that answers with (status, body); return its URL."""
    servers = []

    def start(code: int, body: bytes, tls: ssl.SSLContext | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                return

        server = HTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "body", "text"),
    [
        (200, b"<html>", "is not KTRDR"),
        (200, b'{"status": "fine"}', "is not KTRDR"),
        (404, b"", "is not KTRDR: it returns 404"),
        (400, b"", "rejects the host name"),
    ],
)
def test_another_program_at_the_port_is_found(
    stranger: Callable[..., str], code: int, body: bytes, text: str
) -> None:
    assert text in only(site.responds(stranger(code, body))).problem


def test_a_name_that_is_not_allowed_is_found(stranger: Callable[..., str], settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["ktrdr.example.org"]
    finding = only(site.responds(stranger(200, b'{"status": "ok"}')))
    assert "127.0.0.1 is not in KTRDR_ALLOWED_HOSTS" in finding.problem
    assert "KTRDR_ALLOWED_HOSTS=ktrdr.example.org,127.0.0.1" in finding.remedy


@pytest.mark.parametrize(
    ("name", "reason"), [("127.0.0.1", "unable to get local issuer"), ("127.0.0.2", "mismatch"), ("", "")]
)
def test_a_certificate_of_the_proxy_that_is_not_accepted_is_found(
    stranger: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    certificates = Certificates(tmp_path, (name or "127.0.0.1",))
    if name != "127.0.0.1":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    findings = list(site.responds(stranger(200, b'{"status": "ok"}', certificates.serving)))
    assert [reason in finding.problem for finding in findings] == ([True] if reason else [])
    assert all("The certificate of 127.0.0.1:" in finding.problem for finding in findings)
