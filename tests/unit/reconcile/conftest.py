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
