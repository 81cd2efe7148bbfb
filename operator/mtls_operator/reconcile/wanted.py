"""The leaf Secrets that a spec asks for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mtls_operator.api import defaults, names
from mtls_operator.api.types import Workload
from mtls_operator.desired import policy
from mtls_operator.desired.keyring import Keyring
from mtls_operator.pki.authority import spki_digest
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.keys import KeyProfile
from mtls_operator.pki.leaf import LeafProfile, client_profile, server_profile
from mtls_server.contract import encode_policy

from .callers import client_uri
from .keystores import WantedStores, wanted_stores
from .ports import SECRET, Ref
from .world import World


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


def wanted_leaves(world: World, keyring: Keyring) -> Iterator[WantedLeaf]:
    """Return the server's leaf, then each client's.

    Raises:
        ValueError: the spec asks for something that no certificate can say, in words.
    """
    yield _server(world, keyring)
    service = world.service
    certificates, metadata = service.spec.certificates, service.metadata
    trust = encode_bundle(keyring.server.anchors)
    for client in service.spec.clients:
        if client.revoked:
            continue
        duration, uri = defaults.client_duration(service, client), client_uri(world, client.name)
        yield WantedLeaf(
            ref=Ref(SECRET, metadata.namespace, names.client_secret(metadata.name, client.name)),
            client=client.name,
            profile=client_profile(client.name, uri, _key_profile(world)),
            generations=keyring.client,
            duration=duration,
            renew_before=defaults.renew_before(certificates, duration),
            anchors=trust,
            not_before=keyring.revoked.get(uri),
            stores=wanted_stores(world, metadata.namespace, client.name, client.formats),
            restart=client.restart,
        )


def _server(world: World, keyring: Keyring) -> WantedLeaf:
    service, certificates = world.service, world.service.spec.certificates
    name, namespace = service.metadata.name, service.metadata.namespace
    duration = defaults.certificate_duration(certificates)
    in_cluster = names.server_dns_names(name, namespace, world.settings.cluster_domain)
    dns_names = tuple(dict.fromkeys((*in_cluster, *certificates.dns_names)))
    served = policy.policy(
        service,
        server_names=dns_names,
        own_authorities=[spki_digest(anchor) for anchor in keyring.client.anchors],
        revoked=keyring.revoked,
    )
    return WantedLeaf(
        ref=Ref(SECRET, namespace, names.server_secret(name)),
        client=None,
        profile=server_profile(dns_names, certificates.ip_addresses, _key_profile(world)),
        generations=keyring.server,
        duration=duration,
        renew_before=defaults.renew_before(certificates, duration),
        anchors=encode_bundle(keyring.client.anchors),
        policy=encode_policy(served),
        restart=service.spec.restart if service.spec.certificates_only else (),
    )


def _key_profile(world: World) -> KeyProfile:
    return KeyProfile(*defaults.key_profile(world.service.spec.certificates))
