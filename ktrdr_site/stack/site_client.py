"""Asks the web server of this machine, from the event loop of `up` and without loading a client library."""

import asyncio
import json
from typing import Any

from ktrdr_site.stack.services import Plan

TIMEOUT_S = 5


async def get(plan: Plan, path: str, token: str = "") -> tuple[int, Any]:
    """Return the status and the JSON body; status 0 where it does not answer."""
    headers = ["Host: localhost", *([f"Authorization: Bearer {token}"] if token else [])]
    request = "\r\n".join([f"GET {path} HTTP/1.0", *headers, "", ""])
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(plan.reachable_host.strip("[]"), plan.port)
            try:
                writer.write(request.encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        return int(head.split(None, 2)[1]), json.loads(body)
    except (OSError, TimeoutError, ValueError, IndexError):
        return 0, None
