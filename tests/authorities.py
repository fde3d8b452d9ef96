"""The certificate authorities of HTTP clients, read once per process: each reading takes 20 ms of processor time.

A test that polls opens a client for each request, so reading them would cost more than the request.
"""

import ssl
from functools import lru_cache

import httpx


@lru_cache(maxsize=1)
def authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()
