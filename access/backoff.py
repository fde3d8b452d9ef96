"""Backoff between retries."""

import random


def full_jitter_s(tries: int, first_s: float, longest_s: float) -> float:
    """Return a random pause with full jitter (Brooker 2015): uniform in [0, first_s * 2^(tries-1)], capped at `longest_s`."""
    longest = min(longest_s, first_s * 2 ** max(0, tries - 1))
    return random.uniform(0, longest)  # noqa: S311  (not a secret)
