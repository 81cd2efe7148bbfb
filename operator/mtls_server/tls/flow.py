"""How much a connection has yet to send, and when its protocol must wait."""

import asyncio
from collections.abc import Mapping
from typing import Final

HIGH_WATER: Final = 1 << 16


class FlowControl(asyncio.Transport):
    """A transport's protocol, and the buffer that is too full for it or not."""

    __slots__ = ("_buffer", "_high", "_low", "_protocol", "_protocol_paused")

    def __init__(self, protocol: asyncio.Protocol, extra: Mapping[str, object]) -> None:
        """Begin with nothing to send; `extra` is what `get_extra_info` answers."""
        super().__init__(extra)
        self._protocol = protocol
        self._buffer = bytearray()
        self._low, self._high = HIGH_WATER // 4, HIGH_WATER
        self._protocol_paused = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol take over.

        Raises:
            TypeError: it is not a stream protocol.
        """
        if not isinstance(protocol, asyncio.Protocol):
            msg = f"{protocol!r} takes no stream of bytes; pass an asyncio.Protocol"
            raise TypeError(msg)
        self._protocol = protocol
        self._protocol_paused = False  # told with its first write, if that is too much

    def get_protocol(self) -> asyncio.Protocol:
        """Return the protocol in charge."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes not yet sent."""
        return len(self._buffer)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high limit in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol is paused and resumed, in bytes; the defaults are asyncio's.

        Raises:
            ValueError: not ``0 <= low <= high``.
        """
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            msg = f"low ({low}) must be at least 0 and at most high ({high})"
            raise ValueError(msg)
        self._low, self._high = low, high
        if len(self._buffer) > high:
            self._pause_protocol()

    def _pause_protocol(self) -> None:
        if not self._protocol_paused:
            self._protocol_paused = True
            self._protocol.pause_writing()
