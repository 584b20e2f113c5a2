"""Randomness as a function: the same seed and the same purpose always draw the same number.

Every draw names its purpose, so one more draw for one purpose never shifts those of another.
"""

from __future__ import annotations

from hashlib import blake2b


def digest(seed: str, *purpose: object, size: int = 8) -> bytes:
    """Return `size` bytes that depend on nothing but the seed and the purpose."""
    return blake2b(f"{seed}{purpose!r}".encode(), digest_size=size).digest()


def hexadecimal(seed: str, *purpose: object, length: int) -> str:
    """Return `length` lower-case hexadecimal characters."""
    return digest(seed, *purpose, size=(length + 1) // 2).hex()[:length]


def random_fraction(seed: str, *purpose: object) -> float:
    """Return a number in [0, 1)."""
    return (int.from_bytes(digest(seed, *purpose), "big") >> 11) / (1 << 53)


def between(low: float, high: float, seed: str, *purpose: object) -> float:
    """Return a number in [low, high)."""
    return low + (high - low) * random_fraction(seed, *purpose)
