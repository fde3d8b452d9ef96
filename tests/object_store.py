"""A real server with the API of S3, on loopback: SeaweedFS, which `make tools` installs."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.faults.processes import ROOT, free_port
from tests.waiting import until, until_exit

ACCESS_KEY, SECRET_KEY = "ktrdr", "secret-of-the-tests"
BUCKET = "files"


@dataclass(frozen=True)
class ObjectStore:
    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_REGION": "us-east-1",
        }


def server_program() -> str:
    """Return the program, or skip the test."""
    pytest.importorskip("obstore", reason="requirements/s3.txt is not installed")
    installed = shutil.which("weed") or shutil.which("weed", path=ROOT / ".venv/tools/bin")
    if installed is None:
        pytest.skip("SeaweedFS is not installed; `make tools` installs it")
    return installed


@contextmanager
def object_store(directory: Path) -> Iterator[ObjectStore]:
    """A server with an empty bucket, which ends with the test."""
    program = server_program()
    directory.mkdir(exist_ok=True)
    identity = {
        "name": "ktrdr",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "List", "Write"],
    }
    (directory / "identities.json").write_text(json.dumps({"identities": [identity]}))
    ports = {
        f"-{part}.port{grpc}": free_port()
        for part in ("master", "volume", "filer", "s3")
        for grpc in ("", ".grpc")
    }
    log_path = directory / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [
                program, "server", f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
                f"-s3.config={directory / 'identities.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0",
                "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20",
                *(f"{option}={port}" for option, port in ports.items()),
            ],
            stdout=log, stderr=log, cwd=directory,
        )  # fmt: skip
    try:
        store = ObjectStore(f"http://127.0.0.1:{ports['-s3.port']}")
        until(lambda: _create_bucket(store), "the server creates a bucket", 60, log_path.read_text)
        yield store
    finally:
        process.kill()
        until_exit(process, 30)


def _create_bucket(store: ObjectStore) -> bool:
    import obstore
    from obstore.store import S3Store

    service = S3Store(
        BUCKET,
        endpoint=store.url,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        region="us-east-1",
        client_options={"allow_http": True},
    )
    address = obstore.sign(service, "PUT", "", timedelta(minutes=1))
    try:
        return httpx.put(address, trust_env=False).is_success
    except httpx.HTTPError:
        return False
