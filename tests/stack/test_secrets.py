"""A run in which every kind of secret is used leaves none of them in a log, a page, a command line or a URL."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.faults.processes import free_port
from tests.faults.proxy import FaultyProxy
from tests.prepared import place
from tests.stack.system import REQUEST_TIMEOUT_S, ROOT, Up, environment, up
from tests.waiting import until, until_exit

pytestmark = pytest.mark.stack

BARS = "Date,Open,High,Low,Close,Volume\n" + "".join(
    f"2024-01-{day:02},{day},{day + 1},{day - 1},{day},100\n" for day in (2, 3, 4, 5, 8, 9, 10, 11, 12)
)
WRONG = "a-wrong-password-that-somebody-typed"
UNKNOWN = "ktp_an-api-token-that-nobody-made"
PAGES = ("", "operations", "workers", "workers/between-proxies", "tokens", "market-data", "new/training")
FILES = ("admin-password", "api-token", "worker-token", "secret-key")


class Recorder(FaultyProxy):
    """Passes everything on and keeps the head of each request."""

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(target)
        self.heads: list[str] = []
        self.matches = self._keep

    def _keep(self, head: bytes) -> bool:
        self.heads.append(head.decode("latin-1"))
        return False

    @property
    def urls(self) -> list[str]:
        return [head.split(" ", 2)[1] for head in self.heads]

    @property
    def tokens(self) -> set[str]:
        return {
            token for head in self.heads for token in re.findall(r"(?i)authorization: bearer (\S+)", head)
        }


@contextmanager
def worker(system: Up, directory: Path, token: str, to_backend: str, to_worker: Recorder) -> Iterator[Path]:
    """A worker that both sides reach only through proxies; the file of its log."""
    log = directory / "worker.log"
    command = [
        sys.executable, "-m", "workers", "backtest", "--port", str(to_worker.target[1]),
        "--worker-id", "between-proxies", "--api-url", to_backend, "--public-url", to_worker.url,
        "--data-dir", str(directory / "worker"),
    ]  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(KTRDR_WORKER_TOKEN=token, KTRDR_DATA_DIR=str(system.data_dir)),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            until_exit(process, 20)


def import_bars(system: Up) -> dict[str, Any]:
    with system.http() as http:
        fields = {"symbol": "TEST", "timeframe": "1d"}
        answer = http.post("/market-data", files={"file": ("bars.csv", BARS)}, data=fields)
    assert answer.status_code == 202, answer.text
    path = f"/operations/{answer.json()['operation_id']}"

    def ended() -> dict[str, Any] | None:
        operation = dict(system.get(path))
        return operation if operation["status"] in ("COMPLETED", "FAILED") else None

    return until(ended, "the import has ended", 60, lambda: system.output) or {}


def sign_in(browser: httpx.Client, password: str) -> None:
    """At the second try."""
    for typed, expected in ((WRONG, 200), (password, 302)):
        browser.get("/dashboard/login")
        form = {
            "username": "admin",
            "password": typed,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        answer = browser.post("/dashboard/login", data=form)
        assert answer.status_code == expected
        assert typed not in answer.text + answer.headers.get("location", "")
    session = next(cookie for cookie in browser.cookies.jar if cookie.name == "sessionid")
    assert session.has_nonstandard_attr("HttpOnly")
    assert session.get_nonstandard_attr("SameSite") == "Lax"


def made_token(browser: httpx.Client) -> str:
    page = browser.get("/dashboard/tokens").text
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    form = {"kind": "api", "name": "of the test", "csrfmiddlewaretoken": found[1]}
    answer = browser.post("/dashboard/tokens/create", data=form)
    shown = re.search(r"ktp_[\w-]+", answer.text)
    assert shown
    return shown[0]


def command_lines() -> str:
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return "\n".join(lines)


def test_no_secret_is_in_a_log_a_page_a_command_line_or_a_url(tmp_path: Path) -> None:
    place(tmp_path / "var")
    with up(tmp_path / "var", "--no-demo", "--workers", "") as system:
        system.wait_until_ready()
        secrets = {name: (system.data_dir / name).read_text().strip() for name in FILES}
        with system.http() as http:
            answer = http.post("/enrolment-tokens", json={"name": "proxied", "worker_types": ["backtesting"]})
        assert answer.status_code == 201, answer.text
        secrets["enrolment token"] = answer.json()["token"]
        site = urlsplit(system.url)
        assert site.hostname
        assert site.port
        to_backend, to_worker = (
            Recorder((site.hostname, site.port)),
            Recorder(("127.0.0.1", free_port())),
        )
        with (
            to_backend,
            to_worker,
            worker(system, tmp_path, secrets["enrolment token"], to_backend.url, to_worker) as log,
        ):
            until(lambda: system.get("/workers")["results"], "the worker is registered", 60, log.read_text)
            assert import_bars(system)["status"] == "COMPLETED", log.read_text()
            with httpx.Client(base_url=system.url, timeout=REQUEST_TIMEOUT_S) as browser:
                sign_in(browser, secrets["admin-password"])
                secrets["made token"] = made_token(browser)
                secrets["session"] = browser.cookies["sessionid"]
                pages = [browser.get(f"/dashboard/{page}").text for page in PAGES]
                pages += [browser.get(path).text for path in ("/admin/", "/operations", "/workers")]
            unknown = httpx.get(f"{system.url}/operations", headers={"Authorization": f"Bearer {UNKNOWN}"})
            ps = command_lines()
        text = log.read_text()
    secrets |= {"wrong password": WRONG, "unknown token": UNKNOWN}
    crossed = to_backend.tokens | to_worker.tokens
    assert len(crossed) >= 3, "the enrolment token, the worker's and the backend's"
    secrets |= {f"token in a header, {number}": token for number, token in enumerate(crossed)}
    places = {
        "the output of the site": "\n".join(system.lines),
        "a log of the site": "\n".join(path.read_text() for path in system.log_paths()),
        "the log of the worker": text,
        "a page": "\n".join(pages),
        "the answer to an unknown token": unknown.text,
        "a command line": ps,
        "a URL between backend and worker": "\n".join(to_backend.urls + to_worker.urls),
    }
    found = [
        f"{name} is in {place}"
        for name, secret in secrets.items()
        for place, content in places.items()
        if secret in content
    ]
    assert not found
    assert any(url.startswith("/data_import/start") or "start" in url for url in to_worker.urls)
    assert any(url.endswith("/report") for url in to_backend.urls)


def test_the_system_works_over_tls_to_its_workers(system_over_tls: Up) -> None:
    (only,) = system_over_tls.get("/workers")["results"]
    assert only["endpoint_url"].startswith("https://127.0.0.1:")
    assert import_bars(system_over_tls)["status"] == "COMPLETED", system_over_tls.output
    until(
        lambda: system_over_tls.get("/workers")["results"][0]["last_healthy_at"] != only["last_healthy_at"],
        "a health check passed over TLS",
        20,
        lambda: system_over_tls.output,
    )
