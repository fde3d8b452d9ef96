"""Pauses between tries."""

import random


def jitter(tries: int, first_s: float, longest_s: float) -> float:
    """Full jitter (Brooker 2015): seconds, uniform in [0, first_s * 2^tries], at most `longest_s`."""
    return random.uniform(0, min(longest_s, first_s * 2 ** min(tries, 20)))  # noqa: S311  (no secret)
