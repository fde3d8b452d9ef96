"""Numbers in [0, 1) by arithmetic: the same for the same seed and trial on every machine, without any state."""

from functools import lru_cache
from hashlib import sha256

_PRIMES = (
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
)  # fmt: skip
_DIGITS = 2.0**-53


def uniform(*parts: object) -> float:
    """Return a number in [0, 1) that is a hash of `parts`."""
    return _integer(*parts) % 2**53 * _DIGITS


def halton(seed: int, number: int, dimension: int) -> float:
    """Return coordinate `dimension` of point `number` of the Halton sequence with permuted digits.

    Source: Halton (1960); the permutations of Braaten and Weller (1979), here random ones drawn from the seed: without
    them neighbouring dimensions of large bases are correlated.
    """
    base = _PRIMES[dimension]
    digits = _permutation(seed, base)
    value, scale, rest = 0.0, 1.0, number
    while scale > _DIGITS:
        scale /= base
        rest, digit = divmod(rest, base)
        value += digits[digit] * scale
    return min(value, 1.0 - _DIGITS)


@lru_cache(maxsize=256)
def _permutation(seed: int, base: int) -> tuple[int, ...]:
    return tuple(sorted(range(base), key=lambda digit: _integer(seed, base, digit)))


def _integer(*parts: object) -> int:
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8], "big")
