"""What a connection waits for, given what OpenSSL wants; pure."""

from enum import Enum, auto


class Blocked(Enum):
    """The one call that OpenSSL wants repeated before any other, and what to wait for."""

    NO = auto()
    SEND_UNTIL_WRITABLE = auto()
    SEND_UNTIL_READABLE = auto()
    RECV_UNTIL_WRITABLE = auto()


class Call(Enum):
    """What the transport does when its descriptor is ready."""

    RECEIVE = auto()
    FLUSH = auto()


def next_calls(blocked: Blocked, *, reading: bool, writing: bool) -> tuple[Call | None, Call | None]:
    """Decide what to do when the descriptor is readable, and when it is writable; None: do not wait for it.

    While a call must be repeated nothing else is done: a `recv` could meet a KeyUpdate, whose answer would
    spoil the bytes of a pending `send`.

    Args:
        blocked: the call to be repeated.
        reading: the protocol takes data.
        writing: there is something to send.
    """
    match blocked:
        case Blocked.NO:
            return Call.RECEIVE if reading else None, Call.FLUSH if writing else None
        case Blocked.SEND_UNTIL_WRITABLE:
            return None, Call.FLUSH
        case Blocked.SEND_UNTIL_READABLE:
            return Call.FLUSH, None
        case Blocked.RECV_UNTIL_WRITABLE:
            return None, Call.RECEIVE
