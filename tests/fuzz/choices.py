"""Bytes read as choices, so that an input which is changed a little makes something that differs a little."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def sparse(count: int, size: int) -> list[bytes]:
    """Return inputs, always the same, that choose the usual more often than not."""
    chance = random.Random(size)
    return [
        bytes(chance.randrange(256) if chance.random() < 0.15 else 0 for _ in range(size))
        for _ in range(count)
    ]


def cut(stream: bytes, lengths: Iterable[int]) -> Iterator[bytes]:
    """Cut a stream into pieces of these lengths, and the rest."""
    for length in lengths:
        yield stream[:length]
        stream = stream[length:]
    yield stream


class Choices:
    """Reads an input from its beginning; at its end every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self) -> int:
        """Choose from 0 to 255."""
        return self._take(1)[0] if self else 0

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.number() % len(options)]

    def text(self) -> bytes:
        """Choose up to 255 bytes."""
        return self._take(self.number())

    def some(self, most: int) -> Iterator[int]:
        """Go on up to so often."""
        yield from range(self.number() % (most + 1))

    def edited(self, contents: bytes) -> bytes:
        """Change up to three bytes, take a piece out, or repeat one."""
        changed = bytearray(contents)
        for _ in self.some(3):
            place = int.from_bytes(self._take(2)) % (len(changed) + 1)
            kind, value = divmod(self.number(), 128)
            if kind:
                changed[place : place + value] = b""
            else:
                changed[place : place + 1] = bytes([value + self.number() // 2])
        return bytes(changed)

    def rest(self) -> bytes:
        return self._take(len(self._data))

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += len(taken)
        return taken
