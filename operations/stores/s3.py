"""Files in a bucket of a service with the API of S3: s3://BUCKET/PREFIX/ab/abcdef...

Credentials, region and endpoint come from the variables of the AWS tools (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
`AWS_REGION`, `AWS_ENDPOINT_URL_S3`), or from the machine's role.
"""

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import ClientConfig, RetryConfig

BLOCK = 1024 * 1024
"""Bytes of one request at least, when a file is read in small parts."""
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_S3"
AS_DOWNLOAD = {"Content-Disposition": "attachment", "Content-Type": "application/octet-stream"}
"""A browser must not render what a job wrote, whatever it is."""
TIMEOUT = timedelta(seconds=30)
RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": TIMEOUT}


@dataclass(frozen=True, slots=True)
class S3:
    bucket: str
    prefix: str
    drafts: Path
    _service: S3Store = field(init=False)

    def __post_init__(self) -> None:
        is_plain = os.environ.get(ENDPOINT_VARIABLE, "").startswith("http://")
        options: ClientConfig = {"allow_http": is_plain, "timeout": TIMEOUT}
        service = S3Store(
            self.bucket,
            prefix=self.prefix or None,
            client_options=options,
            retry_config=RETRIES,
        )
        object.__setattr__(self, "_service", service)

    def put(self, draft: Path, sha256: str) -> None:
        """Copy the draft; a large one in several parts, which become a file only together."""
        with _as_os_errors():
            obstore.put(self._service, _key(sha256), draft, attributes=AS_DOWNLOAD)

    def open(self, sha256: str) -> BufferedReader:
        with _as_os_errors():
            size = obstore.head(self._service, _key(sha256))["size"]
        return BufferedReader(_Ranges(self._service, _key(sha256), size), BLOCK)

    def exists(self, sha256: str) -> bool:
        try:
            with _as_os_errors():
                obstore.head(self._service, _key(sha256))
        except FileNotFoundError:
            return False
        return True

    def delete(self, sha256: str) -> None:
        try:
            with _as_os_errors():
                obstore.delete(self._service, _key(sha256))
        except FileNotFoundError:
            return

    def old_names(self, prefix: str, age_s: float) -> list[str]:
        oldest = time.time() - age_s
        with _as_os_errors():
            files = [file for chunk in obstore.list(self._service, prefix) for file in chunk]
        return [
            file["path"].rpartition("/")[2] for file in files if file["last_modified"].timestamp() <= oldest
        ]

    def download_address(self, sha256: str, lasts: timedelta) -> str | None:
        with _as_os_errors():
            return obstore.sign(self._service, "GET", _key(sha256), lasts)


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Raise the errors of the client, whose texts have many lines, as OSError. A missing file stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(_first_line(error)) from None
    except BaseError as error:
        raise OSError(f"the store of files does not answer as expected: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()[:300]


class _Ranges(io.RawIOBase):
    """A file that is read by requests for ranges of its bytes."""

    def __init__(self, service: S3Store, key: str, size: int) -> None:
        self._service, self._key, self._size, self._position = service, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"a negative position: {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._size)
        if end <= self._position:
            return 0
        with _as_os_errors():
            content = obstore.get_range(self._service, self._key, start=self._position, end=end)
        view[: len(content)] = memoryview(content)
        self._position += len(content)
        return len(content)
