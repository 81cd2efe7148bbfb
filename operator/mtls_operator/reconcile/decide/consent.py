"""Which MTLSClients a service admits, and what becomes of the Secrets of the others."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from mtls_operator.api import defaults, names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import ClientNamespace, Metadata, MTLSClient, MTLSService
from mtls_operator.reconcile.ownership import Ownership, holder_uid, is_going, made_by_us, ownership
from mtls_operator.reconcile.plan import NAME_TAKEN, RETRY_REFUSED, Delete, Plan, Problem
from mtls_operator.reconcile.ports import MTLSCLIENT, MTLSSERVICE, SECRET, Key, Object, Ref, ref_of
from mtls_operator.reconcile.world import Admission, Admitted, World

NOT_PERMITTED = "NotPermitted"
QUOTA_EXCEEDED = "QuotaExceeded"
MOST_CALLERS = 1000
"""Clients and MTLSClients of one service together: its policy travels in one Secret."""


def absent(key: Key) -> MTLSService:
    """Return what stands for a service that is not there: it consents to nobody."""
    metadata = Metadata(namespace=key.namespace, name=key.name)
    return MTLSService(api_version=MTLSSERVICE.api_version, kind=MTLSSERVICE.kind, metadata=metadata)


def client_ref(client: MTLSClient) -> Ref:
    """Name the MTLSClient."""
    return Ref(MTLSCLIENT, client.metadata.namespace, client.metadata.name)


def secret_ref(client: MTLSClient) -> Ref:
    """Name the Secret that it wants."""
    return Ref(SECRET, client.metadata.namespace, client.spec.secret_name)


def is_watched(settings: Settings, namespace: str) -> bool:
    """Whether the services and clients of this namespace are seen at all."""
    return not settings.watched_namespaces or namespace in settings.watched_namespaces


def admit(world: World) -> Admission:
    """Admit the MTLSClients of the namespaces that the service consents to, within its quotas.

    Args:
        world: as observed, but for this.
    """
    spec = world.service.spec
    consents = {consent.namespace: consent for consent in spec.client_namespaces}
    places = MOST_CALLERS - len(spec.clients)
    counted: Counter[str] = Counter()
    admitted: list[Admitted] = []
    problems: dict[Ref, Problem] = {}
    for client in world.callers:
        namespace = client.metadata.namespace
        consent = consents.get(namespace)
        if client.metadata.deletion_timestamp:
            continue
        if consent is None or namespace == world.settings.namespace:
            problems[client_ref(client)] = _not_permitted(client)
        elif counted[namespace] >= defaults.max_clients(consent):
            problems[client_ref(client)] = _namespace_is_full(client, consent)
        elif len(admitted) >= places:
            problems[client_ref(client)] = _service_is_full(client)
        else:
            counted[namespace] += 1
            admitted.append(Admitted(client, consent))
    surplus = sum(1 for problem in problems.values() if problem.reason == QUOTA_EXCEEDED)
    return Admission(tuple(admitted), problems | dict(_contests(world, admitted)), surplus)


def withdraw(world: World) -> Plan:
    """Delete the Secrets of MTLSClients that are not, or no more, to have them."""
    plan = Plan()
    for client, secret in obsolete(world):
        ref, metadata = ref_of(SECRET, secret), secret["metadata"]
        refused = world.refused.get(ref)
        if refused is None:
            plan += Plan(writes=(Delete(ref, metadata["uid"], metadata["resourceVersion"], client),))
        else:
            plan += Plan(wake=refused.at + RETRY_REFUSED)
    return plan


def obsolete(world: World) -> Iterator[tuple[MTLSClient, Object]]:
    """Return each Secret that its MTLSClient is not to have; a former one stays until the new is there."""
    if not is_watched(world.settings, world.service.metadata.namespace):
        return
    admitted = {each.client.metadata.uid for each in world.admission.admitted}
    for client, secrets in _holders(world):
        has_new = any(ref_of(SECRET, secret) == secret_ref(client) for secret in secrets)
        for secret in secrets:
            wanted = ref_of(SECRET, secret) == secret_ref(client) or not has_new
            if not (wanted and client.metadata.uid in admitted) and _is_ours_to_delete(secret):
                yield client, secret


def has_certificate(world: World, client: MTLSClient) -> bool:
    """Whether the MTLSClient, and not a former one of its name, has or had a certificate."""
    if client.status and client.status.serial:
        return True
    return any(ownership(secret, client) is Ownership.OURS for secret in world.secrets.values())


def created_at(client: MTLSClient) -> datetime | None:
    """Return when the API server made the object."""
    created = client.metadata.creation_timestamp
    return datetime.fromisoformat(created) if created else None


def _holders(world: World) -> Iterator[tuple[MTLSClient, Sequence[Object]]]:
    """Return the MTLSClients that own Secrets, with these."""
    owners = {client.metadata.uid: client for client in world.callers}
    held: defaultdict[str, list[Object]] = defaultdict(list)
    for secret in world.secrets.values():
        owner = owners.get(holder_uid(secret) or "")
        if owner is not None and ownership(secret, owner) is Ownership.OURS:
            held[owner.metadata.uid].append(secret)
    return ((owners[uid], secrets) for uid, secrets in held.items())


def _is_ours_to_delete(secret: Object) -> bool:
    return made_by_us(secret) and not is_going(secret)


def _contests(world: World, admitted: Sequence[Admitted]) -> Iterator[tuple[Ref, Problem]]:
    """Return the MTLSClients that want a Secret which somebody else has, or is to have."""
    wanted = defaultdict(list)
    for client, _ in admitted:
        wanted[secret_ref(client)].append(client)
    own = own_secrets(world.service)
    for secret, clients in wanted.items():
        stored = world.secrets.get(secret)
        holder = next((client for client in clients if stored and _owns(client, stored)), None)
        winner = holder or (clients[0] if secret not in own else None)
        for client in clients:
            if client is not winner:
                yield client_ref(client), name_taken(secret)


def _owns(client: MTLSClient, secret: Object) -> bool:
    return ownership(secret, client) is Ownership.OURS


def own_secrets(service: MTLSService) -> frozenset[Ref]:
    """Name the Secrets that a service needs for itself and the clients of its spec."""
    name, namespace = service.metadata.name, service.metadata.namespace
    secrets = [names.client_secret(name, client.name) for client in service.spec.clients]
    return frozenset(Ref(SECRET, namespace, secret) for secret in (names.server_secret(name), *secrets))


def _not_permitted(client: MTLSClient) -> Problem:
    """Say the same of a service that is not there and of one that does not consent."""
    service, namespace = client.spec.service_ref, client.metadata.namespace
    return Problem(
        NOT_PERMITTED,
        f"no MTLSService {service.name} of namespace {service.namespace} consents: its spec.clientNamespaces"
        f" must list {namespace}",
    )


def _namespace_is_full(client: MTLSClient, consent: ClientNamespace) -> Problem:
    return Problem(
        QUOTA_EXCEEDED,
        f"MTLSService {client.spec.service_ref.name} admits {defaults.max_clients(consent)} MTLSClients of"
        " this namespace, and the older ones are as many: delete some, or have maxClients raised in its"
        " clientNamespaces",
    )


def _service_is_full(client: MTLSClient) -> Problem:
    return Problem(
        QUOTA_EXCEEDED,
        f"MTLSService {client.spec.service_ref.name} has {MOST_CALLERS} callers, which is all it can have",
    )


def name_taken(secret: Ref) -> Problem:
    """Return what the MTLSClient is told whose Secret has a name that is somebody else's."""
    return Problem(
        NAME_TAKEN,
        f"Secret {secret.name} belongs to somebody else: write another secretName, or free this one",
    )
