"""Addresses of this site that a request names."""

from urllib.parse import parse_qsl, urlencode, urlsplit

from django.utils.http import url_has_allowed_host_and_scheme


def local_address(address: str, default: str) -> str:
    """Return the address of a page if it belongs to the dashboard, without an earlier selection; else the default."""
    if not address.startswith("/dashboard/") or not url_has_allowed_host_and_scheme(address, None):
        return default
    parts = urlsplit(address)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "selected"]
    return f"{parts.path}?{urlencode(query)}" if query else parts.path
