"""What a jump of the wall clock, forward or back, does to certificates that are served, and to callers.

The clock is the one that is passed in; OpenSSL's own is out of reach.
"""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from mtls_server import live
from mtls_server.admin import Readiness
from mtls_server.files.context import TlsSettings
from mtls_server.files.material import build
from mtls_server.files.watch import Watcher
from mtls_server.observe import Telemetry
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.test_live_connections import Protocol, Scene

DAY = 86400.0


@pytest.fixture
def scene(world: World, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(live, "TICK_SECONDS", 0.02)
    return Scene(world)


def pass_some_ticks(scene: Scene) -> None:
    scene.run(lambda: asyncio.sleep(0.2))


def test_beyond_the_end_of_its_certificate_the_server_is_unready_until_the_clock_is_right_again(
    world: World, tmp_path: Path
) -> None:
    now = pki.NOW.timestamp()
    watcher = Watcher(tmp_path, TlsSettings(), Telemetry(CollectorRegistry()), clock=lambda: now)
    watcher.generation = build(world.files(), 1, TlsSettings(), lambda: now)
    readiness = Readiness(watcher, application_started=True, listening=True)
    assert readiness.obstacles() == []
    now += DAY
    assert readiness.obstacles() == ["the certificate in service has expired"]
    now -= DAY
    assert readiness.obstacles() == []


def test_callers_whose_certificates_seem_to_have_ended_go_and_may_come_back(scene: Scene) -> None:
    protocol = Protocol(grace=60)
    scene.connect(0, protocol)
    scene.now += DAY
    pass_some_ticks(scene)
    assert scene.log.cuts == ["expired"]
    scene.now -= DAY
    back = scene.connect(0, Protocol())
    pass_some_ticks(scene)
    assert back.peer.identity is not None
    assert scene.log.cuts == ["expired"]


def test_a_jump_back_concerns_nobody_who_is_connected(scene: Scene) -> None:
    protocol = Protocol()
    connection = scene.connect(0, protocol)
    scene.now -= DAY
    pass_some_ticks(scene)
    assert protocol.judged == []
    assert not connection.aborted


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY])
def test_a_grace_takes_as_long_as_it_takes(scene: Scene, jump: float) -> None:
    patient, hasty = (scene.connect(number, Protocol(grace)) for number, grace in enumerate((60, 0.05)))
    scene.publish()

    async def steps() -> None:
        await asyncio.sleep(0.04)
        scene.now += jump
        await asyncio.sleep(0.5)

    scene.run(steps)
    assert (patient.aborted, hasty.aborted) == (False, True)
