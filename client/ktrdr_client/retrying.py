"""When a request is sent again, and after which pause."""

import random

import httpx

MAX_TRIES = 6
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
LONGEST_RETRY_AFTER_S = 60.0
TEMPORARY = frozenset({429, 502, 503, 504})


def is_temporary(response: httpx.Response) -> bool:
    """Return whether the same request may succeed later. A 503 that counts workers is an answer to `queue: false`."""
    return response.status_code in TEMPORARY and b'"registered"' not in response.content


def pause_s(number: int, response: httpx.Response | None = None) -> float:
    """Return the pause before try `number` + 1: that of `Retry-After`, or an exponential one with full jitter."""
    text = response.headers.get("Retry-After", "") if response is not None else ""
    if text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER_S)
    longest = min(FIRST_PAUSE_S * 2**number, LONGEST_PAUSE_S)
    return random.uniform(0, longest)  # noqa: S311  (not a secret)
