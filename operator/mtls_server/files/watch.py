"""Follows the mounted directory and publishes a generation for every good delivery."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import mtls_server
from mtls_server.contract import LeafState, ReloadState, State
from mtls_server.files.context import TlsSettings
from mtls_server.files.delivery import delivered_at, load
from mtls_server.files.faults import Fault, MaterialError, NotYetValidError
from mtls_server.files.inotify import drain, watch
from mtls_server.files.material import Generation, build

POLL_SECONDS: Final = 10.0
POLL_SECONDS_WITHOUT_NEWS: Final = 1.0
SETTLE_SECONDS: Final = 0.05
"""Files written one by one bring several pieces of news; they are read once."""
PAUSE_SECONDS: Final = 0.002
"""Left to requests between the steps of a build, which may compete with them for one processor."""


class Reporter(Protocol):
    """Told of every delivery once."""

    def generation_published(self, generation: Generation, lag: float) -> None:
        """It serves from now on, so many seconds after it was mounted."""

    def generation_confirmed(self, generation: Generation) -> None:
        """The files are good again, and what they were when it began to serve."""

    def delivery_refused(self, error: MaterialError) -> None:
        """It does not serve; what served before still does."""


@dataclass(frozen=True)
class _Delivery:
    """What is mounted now."""

    contents: bytes
    """Their name (`_fingerprint`); empty: they could not be read."""
    mounted_at: float
    """In seconds since the epoch."""
    outcome: Generation | MaterialError | None
    """What was made of them, or why they cannot serve; None: they serve already."""


class Watcher:
    """Holds the generation in service and replaces it, by one assignment, when a better delivery comes."""

    def __init__(
        self,
        directory: Path,
        settings: TlsSettings,
        reporter: Reporter,
        *,
        clock: Callable[[], float] = time.time,
        poll: float = POLL_SECONDS,
    ) -> None:
        self.generation: Generation | None = None
        self.last_reload = ReloadState("refused", "nothing was read yet")
        self.ready = asyncio.Event()
        self._directory = directory
        self._settings = settings
        self._reporter = reporter
        self._followers: list[Callable[[Generation], None]] = []
        self._clock = clock
        self._poll = poll
        self._changed = asyncio.Event()
        self._watched = False
        self._serving = b""
        self._refused: tuple[bytes, str] | None = None
        self._not_before: float | None = None

    def follow(self, follower: Callable[[Generation], None]) -> None:
        """Tell somebody of every generation from now on, in the very step in which it begins to serve."""
        self._followers.append(follower)

    def current(self) -> Generation:
        """Return the generation in service.

        Raises:
            RuntimeError: there is none yet; wait for `ready`.
        """
        if self.generation is None:
            raise RuntimeError("no generation serves yet")
        return self.generation

    def state(self) -> State:
        """Return what the operator reads as acknowledgement.

        Raises:
            RuntimeError: nothing serves yet.
        """
        generation = self.current()
        return State(
            version=mtls_server.__version__,
            generation=generation.number,
            digest=generation.digest,
            policy_digest=generation.policy_digest,
            leaf=LeafState(generation.serial, f"{generation.not_after:%FT%TZ}"),
            anchors=generation.anchors,
            last_reload=self.last_reload,
        )

    async def run(self) -> None:
        """Follow the directory until cancelled; it need not exist yet."""
        loop = asyncio.get_running_loop()
        with ExitStack() as watching:
            while True:
                poll = self._poll
                if not self._watched:
                    poll = min(poll, POLL_SECONDS_WITHOUT_NEWS)
                    self._try_to_watch(loop, watching)
                await self._look()
                await self._next_occasion(poll)

    def _try_to_watch(self, loop: asyncio.AbstractEventLoop, watching: ExitStack) -> None:
        try:
            descriptor = watch(self._directory)
        except OSError:
            return
        watching.callback(os.close, descriptor)
        loop.add_reader(descriptor, self._on_news, descriptor)
        watching.callback(loop.remove_reader, descriptor)
        self._watched = True

    def _on_news(self, descriptor: int) -> None:
        drain(descriptor)
        self._changed.set()

    async def _next_occasion(self, poll: float) -> None:
        if self._not_before is not None:
            poll = min(poll, max(self._not_before - self._clock(), 0))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), poll)
            await asyncio.sleep(SETTLE_SECONDS)
        self._changed.clear()

    async def _look(self) -> None:
        """Read the files and serve them if they are new and good; the work is done off the loop."""
        delivery = await asyncio.to_thread(self._read)
        match delivery.outcome:
            case Generation() as generation:
                self._publish(generation, delivery)
            case MaterialError() as error:
                self._refuse(error, delivery.contents)
            case None if self._refused is not None:
                self._accept()
                self._reporter.generation_confirmed(self.current())

    def _read(self) -> _Delivery:
        contents, mounted_at = b"", 0.0
        try:
            files = load(self._directory)
            contents, mounted_at = _fingerprint(files), delivered_at(self._directory)
            if contents == self._serving:
                return _Delivery(contents, mounted_at, None)
            number = self.generation.number + 1 if self.generation else 1
            _pause()
            generation = build(files, number, self._settings, self._clock, _pause)
        except MaterialError as error:
            return _Delivery(contents, mounted_at, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, what serves goes on
            mistake = f"a mistake of this program, please report it: {type(error).__name__} over them"
            return _Delivery(contents, mounted_at, MaterialError(Fault.UNEXPECTED, mistake))
        return _Delivery(contents, mounted_at, generation)

    def _publish(self, generation: Generation, delivery: _Delivery) -> None:
        self.generation = generation
        for follower in self._followers:
            follower(generation)
        self._serving = delivery.contents
        self._accept()
        self._reporter.generation_published(generation, max(0.0, self._clock() - delivery.mounted_at))
        self.ready.set()

    def _accept(self) -> None:
        self.last_reload = ReloadState("ok")
        self._refused = self._not_before = None

    def _refuse(self, error: MaterialError, contents: bytes) -> None:
        self._not_before = error.not_before.timestamp() if isinstance(error, NotYetValidError) else None
        if self._refused != (contents, str(error)):
            self._refused = contents, str(error)
            self.last_reload = ReloadState("refused", str(error))
            self._reporter.delivery_refused(error)


def _pause() -> None:
    time.sleep(PAUSE_SECONDS)


def _fingerprint(files: Mapping[str, bytes]) -> bytes:
    """Name the contents, the private key included; kept in memory instead of the key."""
    total = sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.digest()
