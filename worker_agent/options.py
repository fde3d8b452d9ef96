"""The agent's options, from the command line and the environment."""

import argparse
import math
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from worker_agent.backend.file_cache import DEFAULT_BYTES
from worker_agent.certificate import UnusableCertificate, server_context
from worker_agent.program import take_secret
from worker_agent.protocol import Identifier

SHUTDOWN_GRACE_S = 4.0


@dataclass(frozen=True, slots=True)
class Options:
    host: str
    port: int
    api_url: str
    worker_id: str
    public_url: str
    data_dir: Path
    token: str
    tls: ssl.SSLContext | None = None
    """Set if the backend calls this worker over https."""
    cache_bytes: int = DEFAULT_BYTES
    shutdown_grace_s: float = SHUTDOWN_GRACE_S
    home: Path | None = None
    """The folder with the data directories of all agents, if `data_dir` is in it."""


def read_options(
    description: str | None, default_port: int, arguments: Sequence[str] | None = None
) -> Options:
    """Read the options; exit with an error message if one is invalid."""
    parser = _create_parser(description, default_port)
    parsed = parser.parse_args(arguments)
    port = parsed.port or free_port(parsed.host)
    worker_id = parsed.worker_id or f"{socket.gethostname()}-{port}"
    try:
        TypeAdapter(Identifier).validate_python(worker_id)
    except ValidationError:
        parser.error(f"--worker-id: {worker_id!r} may only contain letters, digits, '.', '_', ':' and '-'")
    if urlsplit(parsed.api_url).scheme not in ("http", "https"):
        parser.error(f"--api-url: {parsed.api_url!r} must start with http:// or https://")
    tls = _tls(parser, parsed.tls_cert, parsed.tls_key)
    scheme = "https" if tls else "http"
    public_url = parsed.public_url or f"{scheme}://{own_address(parsed.host, parsed.api_url)}:{port}"
    if urlsplit(public_url).scheme != scheme:
        parser.error(
            f"--public-url: {public_url!r} must start with {scheme}://, because this worker serves {scheme}"
        )
    home = (Path(os.environ.get("KTRDR_DATA_DIR", "var")) / "workers").resolve()
    return Options(
        host=parsed.host,
        port=port,
        api_url=parsed.api_url.rstrip("/"),
        worker_id=worker_id,
        public_url=public_url.rstrip("/"),
        data_dir=(parsed.data_dir or home / worker_id.replace(":", "_")).resolve(),
        token=token_from_environment(),
        tls=tls,
        cache_bytes=int(_number(parser, "KTRDR_CACHE_BYTES", DEFAULT_BYTES)),
        shutdown_grace_s=_number(parser, "KTRDR_SHUTDOWN_GRACE_S", SHUTDOWN_GRACE_S),
        home=None if parsed.data_dir else home,
    )


def _create_parser(description: str | None, default_port: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    env = os.environ
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=int(_number(parser, "WORKER_PORT", default_port)),
        help="0: any free port",
    )
    parser.add_argument("--api-url", default=env.get("KTRDR_API_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--worker-id", default=env.get("WORKER_ID"), help="default: host name and port")
    parser.add_argument(
        "--public-url",
        default=env.get("KTRDR_PUBLIC_URL"),
        help="address by which the backend reaches this worker",
    )
    parser.add_argument(
        "--data-dir", type=Path, default=None, help="directory of unacknowledged reports and cached files"
    )
    parser.add_argument(
        "--tls-cert",
        type=Path,
        default=env.get("KTRDR_TLS_CERT") or None,
        help="serve https with this certificate",
    )
    parser.add_argument(
        "--tls-key", type=Path, default=env.get("KTRDR_TLS_KEY") or None, help="key of the certificate"
    )
    return parser


def _number(parser: argparse.ArgumentParser, name: str, default: float) -> float:
    text = os.environ.get(name, "").strip()
    try:
        value = float(text or default)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        parser.error(f"{name}={text} cannot be used: it must be a number of at least 0")
    return value


def _tls(
    parser: argparse.ArgumentParser, certificate: Path | None, key: Path | None
) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        parser.error("--tls-cert and --tls-key (KTRDR_TLS_CERT, KTRDR_TLS_KEY) must be set together")
    try:
        return server_context(certificate, key)
    except UnusableCertificate as error:
        parser.error(f"--tls-cert: {error}")


def token_from_environment() -> str:
    """Return KTRDR_WORKER_TOKEN, or the content of the file in KTRDR_WORKER_TOKEN_FILE; remove both, as jobs inherit the rest."""
    path, token = take_secret("KTRDR_WORKER_TOKEN_FILE"), take_secret("KTRDR_WORKER_TOKEN")
    if not path:
        return token
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise SystemExit(f"KTRDR_WORKER_TOKEN_FILE: {error}") from error


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def own_address(host: str, api_url: str) -> str:
    """Return the address by which others reach this machine: the one from which it reaches the backend."""
    if host not in ("0.0.0.0", "::", ""):  # noqa: S104  # nosec B104 # a comparison
        return host
    parts = urlsplit(api_url)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket sends nothing; it only selects the route.
            probe.connect((parts.hostname or "127.0.0.1", parts.port or 80))
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()
