"""Responses with a stored file: whole, one range of it, or only that it has not changed."""

import os
import re
from pathlib import PurePosixPath
from typing import BinaryIO

from django.http import FileResponse, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.http.response import HttpResponseBase
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from operations import artifacts

BYTES = "application/octet-stream"
CONTENT_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")


def file_response(sha256: str, name: str, request: Request | None = None) -> HttpResponseBase:
    """Return the stored file, always as a download: a browser must never render what a job wrote as one of our pages.

    With a request, answers its `If-None-Match` (304) and a single byte range in `Range` (206, 416; RFC 9110). If another
    service keeps the files, whole ones come from there (307); ranges do not, because scripts of our pages may not read
    from other origins.
    """
    etag = f'"{sha256}"'
    if request is not None and etag in request.headers.get("If-None-Match", ""):
        return _allow_caching(HttpResponseNotModified(), etag)
    byte_range = _read_range(request, etag)
    if byte_range is None and (address := artifacts.download_address(sha256)) is not None:
        return _elsewhere(address)
    try:
        file = artifacts.open_file(sha256)
    except FileNotFoundError as error:
        raise NotFound("The file no longer exists.") from error
    if byte_range is None:
        return _whole(file, name, etag)
    return _part(file, *byte_range, etag)


def _read_range(request: Request | None, etag: str) -> tuple[int, int | None] | None:
    """Return first and last byte (None: the end of the file) of a range; other forms of `Range` may be ignored."""
    if request is None or request.headers.get("If-Range", etag) != etag:
        return None
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None:
        return None
    first, last = int(match[1]), int(match[2]) if match[2] else None
    return None if last is not None and last < first else (first, last)


class _Elsewhere(HttpResponseRedirect):
    status_code = status.HTTP_307_TEMPORARY_REDIRECT


def _elsewhere(address: str) -> HttpResponseBase:
    response = _Elsewhere(address)
    response["Cache-Control"] = "no-store"  # the address expires
    return response


def _whole(file: BinaryIO, name: str, etag: str) -> HttpResponseBase:
    path = PurePosixPath(name)
    content_type = CONTENT_TYPES.get(path.suffix, BYTES)
    return _allow_caching(
        FileResponse(file, as_attachment=True, filename=path.name, content_type=content_type), etag
    )


def _part(file: BinaryIO, first: int, last: int | None, etag: str) -> HttpResponseBase:
    size = file.seek(0, os.SEEK_END)
    if first >= size:
        file.close()
        response = HttpResponse(status=status.HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE)
        response["Content-Range"] = f"bytes */{size}"
        return response
    end = size if last is None else min(last + 1, size)
    part = FileResponse(
        _Slice(file, first, end),
        status=status.HTTP_206_PARTIAL_CONTENT,
        content_type=BYTES,
    )
    part["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    part["Content-Length"] = str(end - first)
    return _allow_caching(part, etag)


class _Slice:
    """The bytes of a file from `first` to `end` (exclusive), as a file; closing it closes that file.

    It has the descriptor of that file, positioned at `first`, from which the server sends without reading the bytes into memory.
    """

    def __init__(self, file: BinaryIO, first: int, end: int) -> None:
        file.seek(first)
        self._file, self._left = file, end - first
        self.close, self.fileno = file.close, file.fileno

    def read(self, size: int) -> bytes:
        chunk = self._file.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk


def _allow_caching(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-cache"  # kept, but only for those who may still read it
    response["X-Content-Type-Options"] = "nosniff"
    return response
