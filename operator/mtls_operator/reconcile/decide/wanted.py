"""The leaf Secrets that a spec asks for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mtls_operator.api import defaults, names
from mtls_operator.api.types import MTLSClient, Workload
from mtls_operator.desired import policy
from mtls_operator.desired.keyring import Keyring
from mtls_operator.pki.authority import spki_digest
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.keys import KeyProfile
from mtls_operator.pki.leaf import LeafProfile, client_profile, server_profile
from mtls_operator.reconcile.plan import Problem
from mtls_operator.reconcile.ports import SECRET, Ref
from mtls_operator.reconcile.world import World
from mtls_server.contract import OWN_SOURCE, Client

from .callers import Caller, callers
from .keystores import WantedStores, wanted_stores
from .served_policy import served_policy
from .trust import Trust


@dataclass(frozen=True, slots=True)
class WantedLeaf:
    """One leaf Secret as the spec asks for it."""

    ref: Ref
    """The Secret that holds it."""
    client: str | None
    """None for the server's own."""
    profile: LeafProfile
    generations: Generations
    """Those of the authority that signs it."""
    duration: timedelta
    renew_before: timedelta
    anchors: bytes
    policy: bytes = b""
    not_before: datetime | None = None
    """A leaf that begins before is revoked."""
    stores: WantedStores | None = None
    restart: tuple[Workload, ...] = ()
    """Workloads of the Secret's namespace that read it once."""
    caller: MTLSClient | None = None
    """Whose it is; None: the service's."""
    problem: Problem | None = None
    """Why not all in its Secret is as the spec asks for it."""


def wanted_leaves(world: World, keyring: Keyring, trust: Trust) -> Iterator[WantedLeaf]:
    """Return the server's leaf, then each client's.

    Raises:
        ValueError: the spec asks for something that no certificate can say, in words.
    """
    known = tuple(callers(world))
    yield _server(world, keyring, trust, known)
    anchors = encode_bundle(keyring.server.anchors)
    for caller in known:
        if not caller.without_leaf:
            yield _client(world, keyring, caller, anchors)


def _client(world: World, keyring: Keyring, caller: Caller, anchors: bytes) -> WantedLeaf:
    stores = wanted_stores(world, caller.ref.namespace, caller.name, caller.formats)
    return WantedLeaf(
        ref=caller.ref,
        client=caller.full_name,
        profile=client_profile(caller.name, caller.uri, _key_profile(world)),
        generations=keyring.client,
        duration=caller.duration,
        renew_before=defaults.renew_before(world.service.spec.certificates, caller.duration),
        anchors=anchors,
        not_before=keyring.revoked.get(caller.uri),
        stores=stores,
        problem=stores.problem if stores else None,
        restart=caller.restart,
        caller=caller.client,
    )


def _server(world: World, keyring: Keyring, trust: Trust, known: Sequence[Caller]) -> WantedLeaf:
    service, certificates = world.service, world.service.spec.certificates
    name, namespace = service.metadata.name, service.metadata.namespace
    duration = defaults.certificate_duration(certificates)
    in_cluster = names.server_dns_names(name, namespace, world.settings.cluster_domain)
    dns_names = tuple(dict.fromkeys((*in_cluster, *certificates.dns_names)))
    wanted = policy.policy(
        service,
        server_names=dns_names,
        sources={**trust.sources, OWN_SOURCE: [spki_digest(anchor) for anchor in keyring.client.anchors]},
        revoked=keyring.revoked,
        mtlsclients={
            caller.uri: Client(caller.full_name, caller.roles, caller.tenant)
            for caller in known
            if caller.client
        },
    )
    served = served_policy(world, wanted)
    return WantedLeaf(
        ref=Ref(SECRET, namespace, names.server_secret(name)),
        client=None,
        profile=server_profile(dns_names, certificates.ip_addresses, _key_profile(world)),
        generations=keyring.server,
        duration=duration,
        renew_before=defaults.renew_before(certificates, duration),
        anchors=encode_bundle((*keyring.client.anchors, *trust.certificates)),
        policy=served.document,
        problem=served.problem,
        restart=service.spec.restart if service.spec.certificates_only else (),
    )


def _key_profile(world: World) -> KeyProfile:
    return KeyProfile(*defaults.key_profile(world.service.spec.certificates))
