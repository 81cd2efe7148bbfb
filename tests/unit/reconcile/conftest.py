import pytest

from .universe import Universe


@pytest.fixture
def universe() -> Universe:
    return Universe()


@pytest.fixture
def settled(universe: Universe) -> Universe:
    universe.settle()
    universe.writes.clear()
    return universe


@pytest.fixture
def served(settled: Universe) -> Universe:
    """A service with one pod that serves what was delivered."""
    settled.service["spec"]["replicas"] = 1
    settled.settle()
    settled.add_pod("a")
    settled.acknowledge("a")
    settled.writes.clear()
    return settled
