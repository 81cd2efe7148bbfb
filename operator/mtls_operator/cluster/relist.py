"""What the watches should have delivered, checked against lists of metadata.

A watch loses the deletions that fall into a gap, and can stall without a word. So everything is listed
anew from time to time, by metadata alone, and what the watches owe is fetched and delivered in their place.
The first time it is the proof that their first listings are complete.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

from mtls_operator.api.settings import Settings
from mtls_operator.reconcile.ports import Cluster, ClusterError, Object, Ref, Resource
from mtls_operator.reconcile.watched import LISTED, WATCHED, Sink, namespaces

INTERVAL: Final = 300.0
_RETRY: Final = 5.0
_LOOK: Final = 0.2
_FETCHED_AT_ONCE: Final = 50
_WATCHED: Final = {watched.resource: watched for watched in WATCHED}
_log = logging.getLogger(__name__)


class Version(NamedTuple):
    """One state of one object."""

    uid: str
    resource_version: str


Index = Mapping[Ref, Version]


def lagging(listed: Index, before: Index, seen: Index) -> list[Ref]:
    """Return what is newer on the API server than here, and of which nothing was heard since ``before``."""
    return [
        ref
        for ref, version in listed.items()
        if seen.get(ref) != version and seen.get(ref) == before.get(ref)
    ]


def vanished(listed: Index, before: Index, seen: Index) -> list[Ref]:
    """Return what is here but no more on the API server, and of which nothing was heard since ``before``."""
    return [ref for ref, version in before.items() if ref not in listed and seen.get(ref) == version]


@dataclass
class Relist:
    """Stands between the watches and the core: passes on what they deliver, and adds what they miss."""

    cluster: Cluster
    settings: Settings
    sink: Sink
    """Takes the events."""
    on_stall: Callable[[], None]
    """Called when a watch owed something that it should have delivered."""
    random: Random
    patience: float = 10.0
    """Seconds without any progress, after which the watches will not deliver what they owe."""
    synced: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set once everything that existed at the start has been delivered."""
    trouble: str = field(default="the first listing is not complete", init=False)
    """Why what was delivered may be behind the API server, in words; empty when it is not."""
    _seen: dict[Ref, Version] = field(default_factory=dict, init=False)
    _due: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def take(self, event_type: str, resource: Resource, body: Object) -> None:
        """Serve as the sink of the watches."""
        ref, version = _identify(resource, body)
        if event_type != "DELETED":
            self._seen[ref] = version
        elif ref in self._seen and self._seen[ref].uid == version.uid:
            del self._seen[ref]
        if event_type == LISTED and self.synced.is_set():
            self.soon()
        self.sink(event_type, resource, body)

    def soon(self) -> None:
        """Check at once, since a watch began anew."""
        self._due.set()

    async def run(self) -> None:
        """Check now and then, until cancelled."""
        while True:
            self._due.clear()
            try:
                await self.check()
            except ClusterError as trouble:
                self.trouble = str(trouble)
                _log.warning("Cannot check what the watches delivered: %s", trouble)
                pause = _RETRY
            else:
                self.trouble = ""
                self.synced.set()
                pause = INTERVAL
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause * self.random.uniform(0.8, 1.0)):
                    await self._due.wait()

    async def check(self) -> None:
        """List everything in scope, and deliver what the watches owe.

        Raises:
            ClusterError: not everything could be listed or read.
        """
        before = dict(self._seen)
        listed: dict[Ref, Version] = {}
        for watched in WATCHED:
            for namespace in namespaces(self.settings, watched.resource):
                items = await self.cluster.list(
                    watched.resource, namespace, watched.selector, metadata_only=True
                )
                listed.update(_identify(watched.resource, item) for item in items)
        owed = await self._wait_for(listed, before)
        gone = vanished(listed, before, self._seen)
        if gone or owed:
            _log.info("The watches missed %d deletions and %d changes", len(gone), len(owed))
        if owed:
            self.on_stall()
        wanted = [*gone, *owed]
        for start in range(0, len(wanted), _FETCHED_AT_ONCE):
            batch = wanted[start : start + _FETCHED_AT_ONCE]
            await asyncio.gather(*(self._fetch(ref) for ref in batch))

    async def _wait_for(self, listed: Index, before: Index) -> list[Ref]:
        """Give the watches time for as long as they make progress; return what they still owe."""
        clock = asyncio.get_running_loop().time
        owed, progress = lagging(listed, before, self._seen), clock()
        while owed and clock() - progress < self.patience:
            await asyncio.sleep(_LOOK)
            still = lagging(listed, before, self._seen)
            if len(still) < len(owed):
                progress = clock()
            owed = still
        return owed

    async def _fetch(self, ref: Ref) -> None:
        """Read the object, and deliver it unless the watch did so meanwhile."""
        known = self._seen.get(ref)
        live = await self.cluster.get(ref)
        if self._seen.get(ref) != known:
            return
        if live is not None and _WATCHED[ref.resource].admits(live):
            self.take("MODIFIED", ref.resource, live)
        elif known is not None:
            self.take("DELETED", ref.resource, _tombstone(ref, known))


def _identify(resource: Resource, body: Object) -> tuple[Ref, Version]:
    metadata = body["metadata"]
    ref = Ref(resource, metadata["namespace"], metadata["name"])
    return ref, Version(metadata["uid"], metadata["resourceVersion"])


def _tombstone(ref: Ref, version: Version) -> Object:
    return {
        "apiVersion": ref.resource.api_version,
        "kind": ref.resource.kind,
        "metadata": {
            "namespace": ref.namespace,
            "name": ref.name,
            "uid": version.uid,
            "resourceVersion": version.resource_version,
        },
    }
