from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from mtls_operator.admin import serve

TROUBLES = {"alive": "", "ready": "the first listing is not complete"}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    metrics = CollectorRegistry()
    Counter("writes", "Writes to the API server", registry=metrics).inc(3)
    async with (
        serve(0, lambda: TROUBLES["alive"], lambda: TROUBLES["ready"], metrics, "127.0.0.1") as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/livez", 200, "ok\n"),
        ("/readyz", 503, "the first listing is not complete\n"),
        ("/", 404, "404: Not Found"),
    ],
)
async def test_the_answer_says_why_it_is_no(
    session: aiohttp.ClientSession, path: str, status: int, text: str
) -> None:
    async with session.get(path) as answer:
        assert (answer.status, await answer.text()) == (status, text)


async def test_metrics_are_exposed(session: aiohttp.ClientSession) -> None:
    async with session.get("/metrics") as answer:
        assert "writes_total 3.0" in await answer.text()
