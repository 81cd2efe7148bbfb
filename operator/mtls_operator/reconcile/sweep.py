"""Remove authority Secrets whose service is gone; anything unclear counts as not gone.

Authority Secrets are the one thing that can not be made again, and nothing owns them. So one is first
marked, and deleted only when it still has no service after a grace; every doubt keeps it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.pki.validity import rfc3339

from .ports import MTLSSERVICE, SECRET, Cluster, ClusterError, Object, Ref

Verdict = Literal["keep", "mark", "unmark", "delete"]

EMPTY_IS_BELIEVED_AFTER = timedelta(seconds=30)
"""A CRD that was just re-created lists nothing for about a second; an empty list that lasts is believed."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """The services that exist, as an uncached list said; begun after the authority Secrets were read."""

    uids: frozenset[str]
    empty_for: timedelta
    """How long lists have been empty without interruption; zero when this one is not."""


def verdict(authority: Object, listing: Listing, settings: Settings, now: datetime) -> Verdict:
    """Decide about one authority Secret of this instance."""
    metadata = authority["metadata"]
    annotations = metadata.get("annotations") or {}
    orphaned_since = annotations.get(names.ANNOTATION_ORPHANED_SINCE)
    if metadata["name"].removeprefix(names.AUTHORITY_PREFIX) in listing.uids:
        return "unmark" if orphaned_since else "keep"
    if annotations.get(names.ANNOTATION_INSTANCE) != settings.identity or not in_scope(authority, settings):
        return "keep"
    if orphaned_since is None:
        return "mark"
    return "delete" if now >= _moment(orphaned_since, now) + settings.sweep_grace else "keep"


def is_believed(listing: Listing, authorities: int) -> bool:
    """Whether the list can be taken for the truth: an empty one with several authorities only in time."""
    return bool(listing.uids) or authorities <= 1 or listing.empty_for >= EMPTY_IS_BELIEVED_AFTER


def in_scope(authority: Object, settings: Settings) -> bool:
    """Whether the service of this authority is, or was, in a namespace that this instance watches."""
    owner = (authority["metadata"].get("annotations") or {}).get(names.ANNOTATION_OWNER, "")
    namespace = owner.partition("/")[0]
    return bool(namespace) and (not settings.watched_namespaces or namespace in settings.watched_namespaces)


class Sweeper:
    """Sweeps again and again; remembers only since when lists have been empty."""

    def __init__(self, settings: Settings, cluster: Cluster, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._cluster = cluster
        self._clock = clock
        self._empty_since: datetime | None = None

    async def sweep(self) -> None:
        """Look at every authority Secret of this instance once.

        Raises:
            ClusterError: a read failed, so nothing more is known or done.
        """
        authorities = await self._authorities()
        if not authorities:
            return
        listing = await self._services()
        if not is_believed(listing, len(authorities)):
            logger.warning(
                "no service is listed, yet there are authorities", extra={"count": len(authorities)}
            )
            return
        for authority in authorities:
            await self._carry_out(authority, verdict(authority, listing, self._settings, self._clock()))

    async def _authorities(self) -> Sequence[Object]:
        selector = f"{names.LABEL_COMPONENT}={names.AUTHORITY}"
        return await self._cluster.list(SECRET, self._settings.namespace, selector, metadata_only=True)

    async def _services(self) -> Listing:
        uids: set[str] = set()
        scope: Collection[str | None] = self._settings.watched_namespaces or (None,)
        for namespace in scope:
            services = await self._cluster.list(MTLSSERVICE, namespace, metadata_only=True)
            uids.update(service["metadata"]["uid"] for service in services)
        now = self._clock()
        self._empty_since = None if uids else self._empty_since or now
        return Listing(frozenset(uids), now - self._empty_since if self._empty_since else timedelta(0))

    async def _carry_out(self, authority: Object, decided: Verdict) -> None:
        metadata = authority["metadata"]
        ref = Ref(SECRET, metadata["namespace"], metadata["name"])
        marks: dict[Verdict, str | None] = {"mark": rfc3339(self._clock()), "unmark": None}
        try:
            if decided in marks:
                await self._cluster.annotate(
                    ref, metadata["uid"], {names.ANNOTATION_ORPHANED_SINCE: marks[decided]}
                )
            elif decided == "delete":
                await self._cluster.delete(ref, metadata["uid"], metadata["resourceVersion"])
        except ClusterError as error:
            name = f"Secret {ref.namespace}/{ref.name}"
            logger.warning("not swept", extra={"object": name, "reason": str(error)})
        else:
            if decided != "keep":
                logger.info("swept", extra={"object": f"Secret {ref.namespace}/{ref.name}", "verb": decided})


async def sweep_for_ever(sweeper: Sweeper, interval: timedelta) -> None:
    """Sweep, pause, and so on; a failed sweep is no reason to stop."""
    while True:
        try:
            await sweeper.sweep()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nothing was decided on it
            logger.warning("sweep failed", extra={"reason": str(error)})
        await asyncio.sleep(interval.total_seconds())


def _moment(text: str, now: datetime) -> datetime:
    """Read a mark; one that nobody can read counts as made just now."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now
    return moment if moment.tzinfo else now
