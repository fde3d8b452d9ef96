"""The store of this installation: `KTRDR_ARTIFACT_STORE`."""

import os
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings

from operations.stores.local_disk import local_disk
from operations.stores.store import Store

LOCAL = "local"
VALID_NAMES = f"{LOCAL} or s3://BUCKET/PREFIX"


class UnknownStore(ValueError):
    """The name is not valid, or its store cannot be used here; the message gives the reason."""


def selected_store() -> Store:
    return store_named(settings.ARTIFACT_STORE)


def store_named(name: str) -> Store:
    """Return the store `local` or `s3://BUCKET/PREFIX`. Raises UnknownStore."""
    bucket = bucket_of(name)
    return local_disk() if bucket is None else _bucket(*bucket, os.getpid())


def bucket_of(name: str) -> tuple[str, str] | None:
    """Return bucket and prefix of a store with this name; None for `local`. Raises UnknownStore."""
    if name == LOCAL:
        return None
    parts = urlsplit(name)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise UnknownStore(f"{name[:80]!r} must be {VALID_NAMES}")
    return parts.netloc, parts.path.strip("/")


@cache
def _bucket(name: str, prefix: str, process: int) -> Store:
    """One client for each process: its threads and connections do not survive a fork."""
    try:
        from operations.stores.s3 import S3
    except ImportError as error:
        raise UnknownStore(
            f"s3://{name} needs the package obstore: install requirements/s3.txt ({error})"
        ) from error
    return S3(name, prefix, local_disk().drafts)
