"""Build the Secrets of leaves, each with what it says of itself in annotations."""

from datetime import datetime

from cryptography import x509

from mtls_operator.api import names
from mtls_operator.desired import secrets
from mtls_operator.desired.metadata import held, kept
from mtls_operator.pki.bundle import decode_anchors
from mtls_operator.pki.renewal import renewal_time
from mtls_operator.pki.validity import rfc3339
from mtls_operator.reconcile.ownership import Ownership, ownership
from mtls_operator.reconcile.ports import Object
from mtls_operator.reconcile.world import World

from .gates import trust_since
from .keystores import Stores, stores
from .material import Material, Stored
from .restart import restarted_at_first
from .wanted import WantedLeaf


def leaf_secret(
    world: World, wanted: WantedLeaf, material: Material, stored: Stored | None, reason: str
) -> Object:
    """Build the Secret of a leaf.

    Args:
        world: what there is.
        wanted: the leaf as the spec asks for it.
        material: what it is to hold.
        stored: the Secret as it is; None: there is none.
        reason: why it is written, or was last.
    """
    leaf = material.leaf
    annotations = {
        names.ANNOTATION_DURATION: material.duration,
        names.ANNOTATION_SERIAL: f"{leaf.serial_number:x}",
        names.ANNOTATION_NOT_BEFORE: rfc3339(leaf.not_valid_before_utc),
        names.ANNOTATION_NOT_AFTER: rfc3339(leaf.not_valid_after_utc),
        names.ANNOTATION_RENEWAL_TIME: rfc3339(renewal_time_of(world, wanted, leaf)),
        names.ANNOTATION_REASON: reason,
        names.ANNOTATION_TRUST_SINCE: _trust_since(world.now, wanted, stored),
    }
    if stored is None and _is_new(world, wanted):
        annotations |= restarted_at_first(wanted.restart, material.chain, wanted.anchors)
    if material.requested:
        annotations[names.ANNOTATION_REISSUE] = material.requested
    if wanted.client is None:
        return secrets.server_secret(
            world.service,
            certificate=material.chain,
            key=material.key,
            anchors=wanted.anchors,
            policy=wanted.policy,
            annotations=annotations,
        )
    further = _stores(world, wanted, material, stored)
    if further.seal:
        annotations[names.ANNOTATION_STORES] = further.seal
    return secrets.client_secret(
        held(wanted.caller) if wanted.caller else kept(world.service, wanted.ref.name, "client"),
        certificate=material.chain,
        key=material.key,
        anchors=wanted.anchors,
        stores=further.files,
        annotations=annotations,
    )


def _stores(world: World, wanted: WantedLeaf, material: Material, stored: Stored | None) -> Stores:
    if wanted.stores is None:
        return Stores()
    present = Stores()
    if stored and ownership(stored.observed, wanted.caller or world.service) is Ownership.OURS:
        present = Stores.among(stored.data, stored.annotation(names.ANNOTATION_STORES))
    return stores(wanted.stores, material.key, material.chain, wanted.anchors, present)


def renewal_time_of(world: World, wanted: WantedLeaf, leaf: x509.Certificate) -> datetime:
    """Return when a leaf is renewed."""
    return renewal_time(leaf, wanted.duration, wanted.renew_before, world.service.metadata.uid)


def _trust_since(now: datetime, wanted: WantedLeaf, stored: Stored | None) -> str:
    """When the newest anchor was added: kept while the bundle already holds every anchor wanted."""
    if stored is None or not stored.anchors >= set(decode_anchors(wanted.anchors)):
        return rfc3339(now)
    return rfc3339(trust_since(stored.observed, now))


def _is_new(world: World, wanted: WantedLeaf) -> bool:
    """Whether there was no such Secret before, for certain: of many clients status lists some only."""
    status = world.service.status
    listed = status is None or len(status.clients) == (status.clients_total or 0)
    return listed and not is_known(world, wanted)


def is_known(world: World, wanted: WantedLeaf) -> bool:
    """Whether status says that this Secret was there before: then its absence is worth an Event."""
    if wanted.caller is not None:
        return bool(wanted.caller.status and wanted.caller.status.serial)
    status = world.service.status
    if status is None:
        return False
    if wanted.client is None:
        return status.server_certificate is not None
    return any(client.name == wanted.client for client in status.clients)
