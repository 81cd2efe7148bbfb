"""Which connections are visited after a change, and how they end if they do not end by themselves."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import cast

import msgspec
import pytest

from mtls_server import live
from mtls_server.authorization.routes import Routes
from mtls_server.contract import Client
from mtls_server.files.context import TlsSettings
from mtls_server.files.material import Generation, Peer, build
from mtls_server.live import Cut, LiveConnections
from mtls_server.tls.transport import TlsTransport
from tests.unit.server import pki
from tests.unit.server.conftest import World


@dataclass
class Protocol:
    """Ends when it likes."""

    grace: float | None = None
    judged: list[Peer] = field(default_factory=list)

    def judged_again(self, peer: Peer, _routes: Routes) -> float | None:
        self.judged.append(peer)
        return self.grace


class Broken:
    def judged_again(self, _peer: Peer, _routes: Routes) -> float | None:
        raise ZeroDivisionError


class Unaware:
    """A protocol that knows nothing of judgements."""


class Transport(TlsTransport):
    """Without a socket."""

    __slots__ = ("aborted", "generation", "peer", "protocol")

    def __init__(self, peer: Peer, generation: Generation, protocol: object) -> None:
        self.peer = peer
        self.generation = generation
        self.protocol = protocol
        self.aborted = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"mtls_peer": self.peer, "sslcontext": self.generation.context}.get(name, default)

    def get_protocol(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", self.protocol)

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


@dataclass
class Log:
    judged: list[tuple[str, bool]] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)

    def peer_judged(self, by: str, *, served: bool) -> None:
        self.judged.append((by, served))

    def connection_cut(self, reason: str) -> None:
        self.cuts.append(reason)

    def cut_explained(self, cut: Cut) -> None:
        self.explained.append(f"{len(self.cuts)}: {cut.identity.client} {cut.reason}")


@dataclass
class Scene:
    """A server that serves the callers with the given numbers."""

    world: World
    log: Log = field(default_factory=Log)
    now: float = pki.NOW.timestamp()

    def __post_init__(self) -> None:
        self.live = LiveConnections(self.log, lambda: self.now)
        self.generation = self.publish(*range(10))

    def publish(self, *numbers: int, role: str = "reader") -> Generation:
        policy = pki.policy(self.world.client_authority)
        clients = {uri(number): Client(str(number), roles=(role,)) for number in numbers}
        policy = msgspec.structs.replace(policy, clients=clients)
        served = pki.server(self.world.server_authority)
        files = pki.files(served, self.world.client_authority, granted=policy)
        self.generation = build(files, 1, TlsSettings(), lambda: self.now)
        self.live.judge_again(self.generation)
        return self.generation

    def connect(self, number: int, protocol: object, generation: Generation | None = None) -> Transport:
        generation = generation or self.generation
        caller = pki.client(self.world.client_authority, uri=uri(number))
        peer = generation.judge(caller.der, [caller.der, self.world.client_authority.der])
        transport = Transport(peer, generation, protocol)
        self.live.add(transport)
        return transport

    def run(self, steps: Callable[[], Coroutine[None, None, None]]) -> None:
        async def play() -> None:
            task = asyncio.create_task(self.live.run())
            await steps()
            task.cancel()

        asyncio.run(play())


def uri(number: int) -> str:
    return f"spiffe://cluster.local/ns/shop/mtlsservice/orders/client/{number}"


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def test_the_decision_on_every_peer_is_told(scene: Scene) -> None:
    scene.connect(0, Protocol())
    scene.connect(10, Protocol())
    assert scene.log.judged == [("clients", True), ("default", False)]


def test_only_connections_that_a_change_concerns_are_visited(scene: Scene) -> None:
    transports = [scene.connect(number, Protocol()) for number in range(10)]
    scene.publish(*range(7))
    assert scene.live.pending == set(transports[7:])


def test_a_connection_that_is_settled_is_judged_at_once_and_not_again(scene: Scene) -> None:
    gone, stays = Protocol(), Protocol()
    transport = scene.connect(0, gone)
    scene.connect(1, stays)
    scene.publish(1)
    scene.live.settle(transport)
    scene.live.settle(transport)
    assert [peer.refusal is not None for peer in gone.judged] == [True]
    assert (scene.live.pending, stays.judged) == (set(), [])


def test_whoever_shook_hands_with_an_older_generation_is_judged_by_the_newest(scene: Scene) -> None:
    old = scene.generation
    scene.publish()
    transport = scene.connect(0, Protocol(), old)
    assert scene.live.pending == {transport}


def test_whoever_was_judged_otherwise_is_found_again(scene: Scene) -> None:
    transport = scene.connect(0, Protocol())
    scene.publish(0, role="writer")
    scene.live.settle(transport)
    scene.publish()
    assert scene.live.pending == {transport}


def test_a_lost_connection_is_forgotten(scene: Scene) -> None:
    transport = scene.connect(0, Protocol())
    scene.publish()
    scene.live.discard(transport)
    assert scene.live.pending == set()
    scene.publish(0)
    scene.publish()
    assert scene.live.pending == set()


def test_what_has_not_ended_within_its_grace_is_aborted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TICK_SECONDS", 0.02)
    slow, slower = scene.connect(0, Protocol(grace=1)), scene.connect(0, Protocol(grace=60))

    async def steps() -> None:
        scene.publish()
        await asyncio.sleep(0.05)
        assert not slow.aborted
        await asyncio.sleep(1.5)
        assert (slow.aborted, slower.aborted) == (True, False)

    scene.run(steps)
    assert scene.log.cuts == ["unknown_client", "unknown_client"]


def test_nothing_is_explained_before_everybody_was_told(scene: Scene) -> None:
    for number in range(3):
        scene.connect(number, Protocol(grace=60))

    async def steps() -> None:
        scene.publish()
        await asyncio.sleep(0.05)

    scene.run(steps)
    assert sorted(scene.log.explained) == [f"3: {number} unknown_client" for number in range(3)]


def test_a_protocol_that_is_unaware_or_fails_is_aborted(scene: Scene) -> None:
    transports = scene.connect(0, Unaware()), scene.connect(0, Broken())

    async def steps() -> None:
        scene.publish()
        await asyncio.sleep(0.05)

    scene.run(steps)
    assert all(transport.aborted for transport in transports)


def test_a_peer_whose_certificate_has_expired_is_judged_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TICK_SECONDS", 0.02)
    protocol = Protocol(grace=60)
    scene.connect(0, protocol)
    scene.now += 3601

    async def steps() -> None:
        await asyncio.sleep(0.1)

    scene.run(steps)
    assert scene.log.cuts == ["expired"]
    assert len(protocol.judged) == 1
