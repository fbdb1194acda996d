"""The random stream of a session: the same numbers on every replica, on every platform, for ever.

The algorithm is xoshiro256++ 1.0 by David Blackman and Sebastiano Vigna (public domain, 2019), in Python integers.
It is ours, and not `random.Random`, so that no change of Python's library can ever move a session, and because its
state is 32 bytes in a snapshot and not 2,500.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

from msq_jupyter.errors import ArgumentError

T = TypeVar("T")

_MASK = (1 << 64) - 1


def _rotate_left(word: int, bits: int) -> int:
    return ((word << bits) & _MASK) | (word >> (64 - bits))


class RandomStream:
    """A stream of random numbers that can be stored and resumed.

    Args:
        seed: any text; equal seeds give equal streams.
    """

    __slots__ = ("_words",)

    def __init__(self, seed: str) -> None:
        self._words: tuple[int, int, int, int] = struct.unpack(">4Q", hashlib.sha256(seed.encode()).digest())

    @property
    def state(self) -> bytes:
        """The 32 bytes that stand for everything still to come; assigning them resumes there."""
        return struct.pack(">4Q", *self._words)

    @state.setter
    def state(self, state: bytes) -> None:
        self._words = struct.unpack(">4Q", state)

    def next_word(self) -> int:
        """The next 64 random bits."""
        s0, s1, s2, s3 = self._words
        result = (_rotate_left((s0 + s3) & _MASK, 23) + s0) & _MASK
        t = (s1 << 17) & _MASK
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        self._words = (s0, s1, s2 ^ t, _rotate_left(s3, 45))
        return result

    def random(self) -> float:
        """A float in [0, 1) with 53 random bits."""
        return (self.next_word() >> 11) * 2.0**-53

    def random_int(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included, without bias.

        Raises:
            ArgumentError: `low` is greater than `high`.
        """
        if low > high:
            raise ArgumentError(f"random_int: expected low <= high, got {low} and {high}")
        span = high - low + 1
        bits = (span - 1).bit_length()
        while True:
            value = 0
            for _ in range((bits + 63) // 64):
                value = (value << 64) | self.next_word()
            value >>= -bits % 64
            if value < span:
                return low + value

    def choice(self, items: Sequence[T]) -> T:
        """One of `items`.

        Raises:
            ArgumentError: there are none.
        """
        if not items:
            raise ArgumentError("choice: expected at least one item, got none")
        return items[self.random_int(0, len(items) - 1)]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Put `items` into random order, in place (Fisher and Yates)."""
        for last in range(len(items) - 1, 0, -1):
            other = self.random_int(0, last)
            items[last], items[other] = items[other], items[last]

    def generate_id(self) -> str:
        """A name nobody else has: 128 random bits as 22 characters of base64url."""
        words = struct.pack(">2Q", self.next_word(), self.next_word())
        return base64.urlsafe_b64encode(words).rstrip(b"=").decode()
