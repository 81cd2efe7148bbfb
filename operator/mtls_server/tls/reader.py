"""Whom the event loop tells that a descriptor is readable."""

from collections.abc import Callable


class Reader:
    """The callback of a connection's only registration, which handshake and transport share.

    A registration costs libuv eight system calls; and one on which it saw an error can not be changed.
    """

    __slots__ = ("tell",)

    def __init__(self, tell: Callable[[], None]) -> None:
        """Begin with whom to tell; that may change at any time."""
        self.tell = tell

    def __call__(self) -> None:
        """Pass the news on."""
        self.tell()

    def tell_nobody(self) -> None:
        """Let go of whom to tell."""
        self.tell = _ignore


def _ignore() -> None:
    pass
