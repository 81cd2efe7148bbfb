"""Where a Close frame may be put into a stream of WebSocket frames."""

import pytest
from websockets.frames import Frame, Opcode

from mtls_server.backends.upstream.frames import Frames, close_frame


def serialised(length: int, *, mask: bool = False) -> bytes:
    return Frame(Opcode.BINARY, bytes(length)).serialize(mask=mask)


def test_a_close_frame_is_as_the_rfc_says() -> None:
    assert close_frame(1008) == Frame(Opcode.CLOSE, (1008).to_bytes(2)).serialize(mask=False)


def states(frames: Frames, *pieces: bytes) -> list[bool]:
    """Feed the pieces, and say after each whether the stream is between two frames."""
    result = []
    for piece in pieces:
        frames.feed(piece)
        result.append(frames.between)
    return result


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536])
def test_the_end_of_every_frame_is_between_two(length: int, mask: bool) -> None:  # noqa: FBT001 - a parameter
    frame = serialised(length, mask=mask)
    octets = [bytes((octet,)) for octet in frame * 2]
    ends = [number for number, between in enumerate(states(Frames(), *octets), 1) if between]
    assert ends == [len(frame), 2 * len(frame)]


def test_many_frames_at_once_and_pieces_of_frames() -> None:
    data = b"".join(map(serialised, (0, 5, 300, 70_000, 2)))
    assert states(Frames(), b"", data, data[:-1], data[-1:] + data) == [True, True, False, True]
