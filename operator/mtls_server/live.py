"""Judges connected peers again, when a new generation or the end of their certificate may change the verdict.

Who is revoked or distrusted is cut off at once. Who has merely lost permission finishes what has begun.
"""

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Final, NamedTuple, Protocol, TypeVar, cast, runtime_checkable
from weakref import WeakKeyDictionary

from mtls_server.authorization.routes import Routes
from mtls_server.changes import between, keys
from mtls_server.files.material import Generation, Peer
from mtls_server.identity import Identity, Reason
from mtls_server.index import Entry, Index
from mtls_server.tls.shares import Shares
from mtls_server.tls.transport import TlsTransport

LOGGER: Final = logging.getLogger("mtls_server")
FORBIDDEN: Final = "forbidden"
"""Why a connection is cut whose peer is served, but not with what it asked for."""
CUT_AT_ONCE: Final = {Reason.REVOKED, Reason.DISTRUSTED, Reason.UNKNOWN_SOURCE}
TICK_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 1.0
"""How long a connection that is cut at once may take for its close_notify, if it is idle."""
SLICE_SECONDS: Final = 0.005
"""How long connections are judged before the event loop serves others again."""

Item = TypeVar("Item")


@runtime_checkable
class Judged(Protocol):
    """What a connection's protocol is, if it can go on under another judgement, or end well."""

    def judged_again(self, peer: Peer, routes: Routes) -> float | None:
        """Take note that the peer has been judged again, perhaps as before, and of the routes of today.

        Returns:
            None to go on; else the connection is about to end, and must have ended after so many seconds.
        """


class Cut(NamedTuple):
    """A connected peer that is served no more."""

    peername: object
    identity: Identity
    """Of the peer, as it was served."""
    reason: str


class Observer(Protocol):
    """Told of each connection whose handshake succeeded, and of each that must end."""

    def peer_judged(self, by: str, *, served: bool) -> None:
        """A peer has connected; `by` names the part of the policy that decided (`Peer.by`)."""

    def connection_cut(self, reason: str) -> None:
        """A connection has been told to end."""

    def cut_explained(self, cut: Cut) -> None:
        """Who it was; told when all connections that must end have been told to."""


class LiveConnections:
    """Follows a listener and a watcher: each connection, and its peer as the newest generation judges it.

    A connection in `pending` may be judged differently now, and was not visited yet: `settle` it before
    a request of it is served.
    """

    def __init__(
        self,
        observer: Observer,
        clock: Callable[[], float] = time.time,
        share: int = sys.maxsize,
    ) -> None:
        """Begin without connections.

        Args:
            observer: logs and counts.
            clock: seconds since the epoch.
            share: how many connections one caller may have.
        """
        self.shares = Shares(share, _caller)
        self.pending: set[TlsTransport] = set()
        self.generation: Generation
        self._observer = observer
        self._clock = clock
        self._peers: dict[TlsTransport, Peer] = {}
        self._index = Index[Peer, TlsTransport](_entry)
        self._numbers = WeakKeyDictionary[object, int]()
        self._ending: dict[TlsTransport, float] = {}
        self._unexplained: list[Cut] = []
        self._news = asyncio.Event()

    def add(self, transport: TlsTransport) -> None:
        """Take note of a connection whose handshake is done."""
        peer = cast("Peer", transport.get_extra_info("mtls_peer"))
        self._peers[transport] = peer
        self.shares.add(transport)
        self._observer.peer_judged(peer.by, served=peer.identity is not None)
        if peer.identity is None:
            return
        self._index.add(transport, peer)
        if transport.get_extra_info("sslcontext") is not self.generation.context:
            self._visit({transport})

    def discard(self, transport: TlsTransport) -> None:
        """Forget a connection that is lost."""
        peer = self._peers.pop(transport)
        self.shares.discard(transport)
        if peer.identity is not None:
            self._index.discard(transport, peer)
        self.pending.discard(transport)
        self._ending.pop(transport, None)

    def by_generation(self) -> Mapping[str, int]:
        """Count connections by the number of the generation that they shook hands with."""
        numbers = Counter({max(self._numbers.values(), default=0): 0})
        for transport in self._peers:
            numbers[self._numbers[transport.get_extra_info("sslcontext")]] += 1
        return {str(number): count for number, count in numbers.items()}

    def judge_again(self, generation: Generation) -> None:
        """Judge by a new generation from now on; connections that it concerns are visited by `run`."""
        if self._peers:
            self._visit(self._index.having(between(self.generation, generation)))
        self.generation = generation
        self._numbers[generation.context] = generation.number

    def settle(self, transport: TlsTransport) -> None:
        """Judge a connection now if it waits for that."""
        if transport in self.pending:
            self.pending.discard(transport)
            self._judge(transport)

    async def run(self) -> None:
        """Visit connections whose judgement may have changed, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), TICK_SECONDS)
            self._news.clear()
            self.pending |= self._index.ended(self._clock())
            await self._settle_all()
            self._abort_overdue()

    def _visit(self, transports: set[TlsTransport]) -> None:
        self.pending |= transports
        self._news.set()

    async def _settle_all(self) -> None:
        async for transport in _in_slices(self.pending):
            self._judge(transport)
        async for cut in _in_slices(self._unexplained):
            self._observer.cut_explained(cut)

    def _judge(self, transport: TlsTransport) -> None:
        known = self._peers[transport]
        peer = self.generation.judge_again(known)
        if peer.refusal is None and peer is not known:
            self._index.discard(transport, known)
            self._index.add(transport, peer)
            self._peers[transport] = peer
        at_once = peer.refusal is not None and peer.refusal.reason in CUT_AT_ONCE
        if at_once or transport not in self._ending:
            grace = self._tell(transport, peer, changed=peer is not known)
            if grace is not None:
                self._end(transport, peer, CLOSE_SECONDS if at_once else grace)
        if at_once and _has_more_to_say(transport):
            transport.abort()

    def _tell(self, transport: TlsTransport, peer: Peer, *, changed: bool) -> float | None:
        """Let the protocol take note; one that cannot, or fails to, must end at once."""
        protocol = transport.get_protocol()
        try:
            if isinstance(protocol, Judged):
                return protocol.judged_again(peer, self.generation.authorisation.routes)
            if not changed:
                return None
        except Exception:
            LOGGER.exception("a connection could not be judged again")
        transport.abort()
        return 0.0

    def _end(self, transport: TlsTransport, peer: Peer, seconds: float) -> None:
        if transport not in self._ending:
            reason = peer.refusal.reason if peer.refusal is not None else FORBIDDEN
            served = cast("Identity", self._peers[transport].identity)
            self._observer.connection_cut(reason)
            self._unexplained.append(Cut(transport.get_extra_info("peername"), served, reason))
        self._ending[transport] = asyncio.get_running_loop().time() + seconds

    def _abort_overdue(self) -> None:
        now = asyncio.get_running_loop().time()
        for transport in [one for one, deadline in self._ending.items() if deadline <= now]:
            transport.abort()


def _caller(transport: TlsTransport) -> Hashable:
    """Return who connected; peers that are not served count as one."""
    identity = cast("Peer", transport.get_extra_info("mtls_peer")).identity
    return None if identity is None else identity.caller


def _entry(peer: Peer) -> Entry:
    return Entry(keys(peer), cast("Identity", peer.identity).valid_to.timestamp())


async def _in_slices(items: set[Item] | list[Item]) -> AsyncIterator[Item]:
    """Take the items one by one, and let the event loop serve others now and then."""
    start = perf_counter()
    while items:
        yield items.pop()
        if perf_counter() - start > SLICE_SECONDS:
            await asyncio.sleep(0)
            start = perf_counter()


def _has_more_to_say(transport: TlsTransport) -> bool:
    return not transport.is_closing() or transport.get_write_buffer_size() > 0
