from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from mtls_server.files.material import Generation
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.tls.harness import LOOPS, Echo, Recorder, TlsServer, running

Serve = Callable[..., TlsServer]


@pytest.fixture(params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def generation(world: World) -> Generation:
    return world.generation()


@pytest.fixture(scope="session")
def billing(world: World) -> pki.Issued:
    """An admitted caller."""
    return pki.client(world.client_authority)


@pytest.fixture
def serve(loop_name: str, generation: Generation) -> Iterator[Serve]:
    """Start servers on the loop under test: ``serve(protocol, **arguments of running)``."""
    with ExitStack() as servers:

        def start(protocol: Callable[[], Recorder] = Echo, **arguments: object) -> TlsServer:
            arguments.setdefault("generation", generation)
            return servers.enter_context(running(loop_name, protocol=protocol, **arguments))  # type: ignore[arg-type]

        yield start
