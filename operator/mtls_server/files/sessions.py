"""What OpenSSL has verified, for peers that resume a session of TLS 1.2, when it verifies nothing."""

from collections import OrderedDict
from functools import lru_cache
from hashlib import sha256
from typing import Final

MAX_SESSIONS: Final = 20_480
"""That OpenSSL keeps of one context (SSL_SESSION_CACHE_MAX_SIZE_DEFAULT), dropping the oldest."""
MAX_SHARED: Final = 1024

Chain = tuple[bytes, ...]
"""DER, leaf first, ended by the trust anchor."""


class VerifiedChains:
    """Remembers the chains of the leaves that were verified last, under the context of one generation.

    A full handshake makes at most one session and is remembered here, so with room for as many leaves as
    OpenSSL keeps sessions, none of these outlives its chain. Issuers are kept once for all their leaves.
    """

    def __init__(self, room: int) -> None:
        """Begin empty.

        Args:
            room: for so many leaves; 0 where no session can be resumed.
        """
        self._room = room
        self._issuers = OrderedDict[bytes, Chain]()
        """By the SHA-256 of the leaf."""
        self._shared = lru_cache(MAX_SHARED)(_same)

    def remember(self, chain: Chain) -> None:
        """Take note of a full handshake."""
        if self._room == 0:
            return
        leaf = sha256(chain[0]).digest()
        self._issuers[leaf] = self._shared(chain[1:])
        self._issuers.move_to_end(leaf)
        if len(self._issuers) > self._room:
            self._issuers.popitem(last=False)

    def recall(self, leaf: bytes) -> Chain:
        """Return the chain under which a leaf was verified last; empty: it is not remembered."""
        issuers = self._issuers.get(sha256(leaf).digest())
        return () if issuers is None else (leaf, *issuers)


def _same(issuers: Chain) -> Chain:
    return issuers
