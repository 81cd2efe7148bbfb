"""Deliveries come, good and bad; what serves is always the last good one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from mtls_server.files import watch
from mtls_server.files.context import TlsSettings
from mtls_server.files.faults import Fault, MaterialError
from mtls_server.files.material import Generation
from mtls_server.files.watch import Watcher
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE


@dataclass
class Reports:
    """Every report of the watcher, in order."""

    news: asyncio.Queue[Generation | MaterialError] = field(default_factory=asyncio.Queue)

    def generation_published(self, generation: Generation, _lag: float) -> None:
        self.news.put_nowait(generation)

    def generation_confirmed(self, generation: Generation) -> None:
        self.news.put_nowait(generation)

    def delivery_refused(self, error: MaterialError) -> None:
        self.news.put_nowait(error)

    async def published(self) -> Generation:
        news = await asyncio.wait_for(self.news.get(), PATIENCE)
        assert isinstance(news, Generation), news
        return news

    async def refused(self) -> MaterialError:
        news = await asyncio.wait_for(self.news.get(), PATIENCE)
        assert isinstance(news, MaterialError), news
        return news


@asynccontextmanager
async def watching(
    directory: Path, poll: float = 60, now: list[float] | None = None
) -> AsyncIterator[tuple[Watcher, Reports]]:
    """Follow `directory`; polling is too slow to help unless `poll` says otherwise."""
    reports = Reports()
    clock = pki.at() if now is None else lambda: now[0]
    watcher = Watcher(directory, TlsSettings(), reports, clock=clock, poll=poll)
    task = asyncio.create_task(watcher.run())
    try:
        yield watcher, reports
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_what_serves_outlives_a_mistake_of_the_program(world: World, tmp_path: Path) -> None:
    deliver(tmp_path, world.files())
    now = [pki.NOW.timestamp()]
    async with watching(tmp_path, now=now) as (watcher, reports):
        serving = await reports.published()
        now.clear()  # so that the clock fails
        deliver(tmp_path, world.files())
        error = await reports.refused()
        assert error.fault is Fault.UNEXPECTED
        assert "IndexError" in str(error)
        assert watcher.current() is serving
        now.append(pki.NOW.timestamp())
        deliver(tmp_path, world.files())
        assert (await reports.published()).number == 2


async def test_the_first_delivery_serves(world: World, tmp_path: Path) -> None:
    deliver(tmp_path, world.files())
    async with watching(tmp_path) as (watcher, reports):
        generation = await reports.published()
        assert watcher.ready.is_set()
        assert watcher.current() is generation
        state = watcher.state()
        assert (state.generation, state.digest) == (1, generation.digest)
        assert state.policy_digest == generation.policy_digest
        assert state.leaf.serial == generation.serial
        assert state.leaf.not_after == f"{generation.not_after:%FT%TZ}"
        assert state.anchors == generation.anchors
        assert state.last_reload.result == "ok"


async def test_a_directory_that_comes_later_is_waited_for(world: World, tmp_path: Path) -> None:
    directory = tmp_path / "certs"
    async with watching(directory) as (watcher, reports):
        error = await reports.refused()
        assert error.fault is Fault.MISSING
        assert str(error) == "tls.crt, tls.key, ca.crt, policy.json: missing or empty"
        assert watcher.last_reload.reason == str(error)
        with pytest.raises(RuntimeError):
            watcher.current()
        deliver(directory, world.files())
        assert (await reports.published()).number == 1


async def test_every_swap_makes_a_new_generation_with_a_fresh_context(world: World, tmp_path: Path) -> None:
    deliver(tmp_path, world.files())
    async with watching(tmp_path) as (watcher, reports):
        first = await reports.published()
        for number in range(2, 6):
            deliver(tmp_path, world.files())
            generation = await reports.published()
            assert generation.number == number
            assert generation.context is not first.context
            assert watcher.current() is generation


async def test_of_two_swaps_back_to_back_the_last_one_serves(world: World, tmp_path: Path) -> None:
    deliver(tmp_path, world.files())
    async with watching(tmp_path) as (watcher, reports):
        await reports.published()
        deliver(tmp_path, world.files())
        last = world.files()
        deliver(tmp_path, last)
        async with asyncio.timeout(PATIENCE):
            while watcher.current().certificate.encode() not in last["tls.crt"]:
                await reports.published()


async def test_a_delivery_of_the_same_contents_changes_nothing(world: World, tmp_path: Path) -> None:
    files = world.files()
    deliver(tmp_path, files)
    async with watching(tmp_path, poll=0.05) as (watcher, reports):
        first = await reports.published()
        deliver(tmp_path, files)
        await asyncio.sleep(0.3)
        assert watcher.current() is first
        assert reports.news.empty()


async def test_a_bad_delivery_is_said_once_and_the_last_good_one_serves_on(
    world: World, tmp_path: Path
) -> None:
    good = world.files()
    deliver(tmp_path, good)
    async with watching(tmp_path, poll=0.05) as (watcher, reports):
        first = await reports.published()
        deliver(tmp_path, good | {"tls.key": world.files()["tls.key"]})
        assert (await reports.refused()).fault is Fault.KEY_MISMATCH
        assert watcher.current() is first
        assert watcher.state().last_reload.result == "refused"
        assert "tls.key is not the key" in watcher.state().last_reload.reason
        await asyncio.sleep(0.3)
        assert reports.news.empty()


async def test_the_same_mistake_in_a_new_delivery_is_said_again(world: World, tmp_path: Path) -> None:
    good = world.files()
    deliver(tmp_path, good)
    async with watching(tmp_path) as (_, reports):
        await reports.published()
        for _attempt in range(2):
            deliver(tmp_path, good | {"tls.key": world.files()["tls.key"]})
            assert (await reports.refused()).fault is Fault.KEY_MISMATCH


async def test_a_return_to_what_serves_ends_the_refusal(world: World, tmp_path: Path) -> None:
    good = world.files()
    deliver(tmp_path, good)
    async with watching(tmp_path) as (watcher, reports):
        first = await reports.published()
        deliver(tmp_path, good | {"ca.crt": b""})
        assert (await reports.refused()).fault is Fault.MISSING
        deliver(tmp_path, good)
        assert await reports.published() is first
        assert watcher.last_reload.result == "ok"


async def test_a_certificate_of_the_future_serves_when_its_time_comes(world: World, tmp_path: Path) -> None:
    now = [pki.NOW.timestamp()]
    deliver(tmp_path, world.files())
    async with watching(tmp_path, now=now) as (watcher, reports):
        first = await reports.published()
        deliver(tmp_path, world.files(not_before=pki.NOW + timedelta(seconds=1)))
        assert (await reports.refused()).fault is Fault.NOT_YET_VALID
        assert watcher.current() is first
        now[0] += 1
        assert (await reports.published()).number == 2


async def test_plain_files_are_followed_too(world: World, tmp_path: Path) -> None:
    async with watching(tmp_path) as (_, reports):
        await reports.refused()
        for name, contents in world.files().items():
            (tmp_path / name).write_bytes(contents)
        assert (await reports.published()).number == 1


async def test_without_inotify_polling_finds_the_delivery(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_watch_left(directory: Path) -> int:
        raise OSError(28, "no space left on device", str(directory))

    monkeypatch.setattr(watch, "watch", no_watch_left)
    deliver(tmp_path, world.files())
    async with watching(tmp_path) as (_, reports):
        await reports.published()
        deliver(tmp_path, world.files())
        assert (await reports.published()).number == 2
