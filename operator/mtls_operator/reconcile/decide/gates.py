"""Who trusts the next authority already: pods say so themselves, callers get time."""

from collections.abc import Iterator
from datetime import UTC, datetime

from mtls_operator.api import defaults, names
from mtls_operator.pki.authority import Authority
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.validity import SKEW
from mtls_operator.policies.rotation import Gate, PodTrust
from mtls_operator.reconcile.ownership import Ownership, made_by_us, ownership
from mtls_operator.reconcile.ports import SECRET, Object, Ref
from mtls_operator.reconcile.secrets import decode_data
from mtls_operator.reconcile.world import Delivery, World
from mtls_server.contract import TRUST_ANCHORS

from .callers import Caller, callers
from .restart import awaits_restart

PATIENCE = 2
"""How many times `propagation` a rotation waits for an MTLSClient whose Secret has no rest."""
MOST_TRIES = 4
"""How often in a row a pod can not be asked before that is taken for its state, and no accident."""
FINISHED = frozenset({"Succeeded", "Failed"})
"""Phases of pods that serve nobody any more."""


def gate(world: World, generations: Generations, awaited: Authority) -> Gate:
    """Return what is known of those who verify leaves of this authority.

    Args:
        world: where bundles are, and what pods said.
        generations: those of the authority.
        awaited: which of them must be trusted.
    """
    bundles = list(_bundles(world, generations))
    anchor = encode_bundle([awaited.anchor])
    lacking = [name for name, bundle, _ in bundles if anchor not in bundle]
    known = max((since for _, _, since in bundles), default=generations.prepared_at)
    spec = world.service.spec
    by_word = generations.role == "client" and not spec.certificates_only
    return Gate(
        bundles_since=None if lacking else known,
        lacking=f"{len(lacking)} of {len(bundles)} bundles have it not yet, {lacking[0]} first"
        if lacking
        else "",
        verifiers="callers" if generations.role == "server" else "servers",
        pods=tuple(_pods(world, awaited, None if lacking else known)) if by_word else None,
        expects_pods=spec.replicas > 0,
    )


def trust_since(secret: Object, now: datetime) -> datetime:
    """Read since when a Secret has all of its anchors.

    Whoever may write the Secret may write that; what can not be read, or is far in the future, counts as just
    now.
    """
    text = (secret["metadata"].get("annotations") or {}).get(names.ANNOTATION_TRUST_SINCE, "")
    try:
        moment = datetime.fromisoformat(text)
        since = moment.astimezone(UTC)  # which fails of years that there are only elsewhere
    except (ValueError, OverflowError):
        return now
    return since if moment.tzinfo and since <= now + SKEW else now


def unfinished(pods: tuple[Object, ...]) -> Iterator[Object]:
    """Return the pods that serve, or will, or have not stopped yet."""
    return (pod for pod in pods if (pod.get("status") or {}).get("phase") not in FINISHED)


def _bundles(world: World, generations: Generations) -> Iterator[tuple[str, bytes, datetime]]:
    """Return name, contents and age of each bundle from which leaves of this authority are verified.

    One whose readers are still to be restarted counts as empty.
    """
    name, namespace = world.service.metadata.name, world.service.metadata.namespace
    server = Ref(SECRET, namespace, names.server_secret(name))
    heard = {caller.ref: caller.restart for caller in callers(world) if _is_heard(world, generations, caller)}
    spec = world.service.spec
    own = {server: spec.restart if spec.certificates_only else ()}
    readers = own if generations.role == "client" else heard
    for ref, restart in readers.items():
        secret = world.secrets.get(ref)
        if secret is not None and made_by_us(secret):
            known = not awaits_restart(world, secret, restart)
            bundle = decode_data(secret).get(TRUST_ANCHORS, b"") if known else b""
            yield ref.name, bundle, trust_since(secret, world.now)


def _is_heard(world: World, generations: Generations, caller: Caller) -> bool:
    """Whether to wait for the bundle of a caller; no MTLSClient holds a service up by its Secret for long."""
    secret = world.secrets.get(caller.ref)
    if caller.client is None or secret is None:
        return True
    patience = PATIENCE * defaults.propagation(world.service)
    if generations.prepared_at is not None and world.now >= generations.prepared_at + patience:
        return False
    return caller.ref not in world.refused and ownership(secret, caller.client) is Ownership.OURS


def _pods(world: World, awaited: Authority, since: datetime | None) -> Iterator[PodTrust]:
    for pod in unfinished(world.pods):
        delivery = world.deliveries.get(pod["metadata"]["uid"], Delivery())
        yield _pod(pod, delivery, awaited.key_id, since)


def _pod(pod: Object, delivery: Delivery, key_id: str, since: datetime | None) -> PodTrust:
    name = pod["metadata"]["name"]
    if key_id in delivery.anchors:
        return PodTrust(name, trusts=True)
    if delivery.error:
        silent, stale_at = delivery.failures >= MOST_TRIES, delivery.answered_at
        detail = f"{name}: {delivery.error}"
        return PodTrust(name, trusts=False, unreachable=silent, stale_at=stale_at, detail=detail)
    if delivery.probed_at is None:
        has_address = bool((pod.get("status") or {}).get("podIP"))
        detail = f"{name} was not asked yet"
        return PodTrust(name, trusts=False, unreachable=not has_address, detail=detail)
    detail = f"{name} still serves generation {delivery.generation}"
    return PodTrust(name, trusts=False, detail=detail, since=_mounted_since(pod, since))


def _mounted_since(pod: Object, since: datetime | None) -> datetime | None:
    """Return since when a pod can know of a bundle: not before it was there itself."""
    created = pod["metadata"].get("creationTimestamp")
    if since is None or created is None:
        return since
    return max(since, datetime.fromisoformat(created))
