"""Where WebSocket frames begin and end (RFC 6455 §5.2), so that a last one can be added between two."""

from typing import Final

_LENGTH_BYTES: Final = {126: 2, 127: 8}


def close_frame(code: int) -> bytes:
    """Return a server's Close frame."""
    return b"\x88\x02" + code.to_bytes(2)


class Frames:
    """Follows the frames of a stream."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._payload = 0
        """Bytes of the current frame's payload still to come."""

    @property
    def between(self) -> bool:
        """Whether the stream is not in the middle of a frame."""
        return not (self._head or self._payload)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        offset = 0
        while offset < len(data):
            if self._payload:
                passed = min(self._payload, len(data) - offset)
                self._payload -= passed
                offset += passed
            else:
                self._head.append(data[offset])
                offset += 1
                self._read_head()

    def _read_head(self) -> None:
        head = self._head
        if len(head) < 2:
            return
        masked, length = divmod(head[1], 1 << 7)
        extended = _LENGTH_BYTES.get(length, 0)
        if len(head) == 2 + extended + 4 * masked:
            self._payload = int.from_bytes(head[2 : 2 + extended]) if extended else length
            head.clear()
