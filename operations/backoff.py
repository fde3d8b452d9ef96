"""How long to wait before the next try."""

import random


def full_jitter_s(tries: int, first_s: float, longest_s: float) -> float:
    """Exponential backoff with full jitter (Brooker 2015): uniform in [0, first * 2^(tries-1)], at most `longest_s`."""
    longest = min(longest_s, first_s * 2 ** max(0, tries - 1))
    return random.uniform(0, longest)  # noqa: S311  (no secret)
