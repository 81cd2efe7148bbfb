"""What holds where the user says nothing; pure functions from an object to its effective values."""

from datetime import timedelta
from typing import Final, Literal, NamedTuple

from mtls_operator.api import durations, names
from mtls_operator.api.types import (
    AuthoritySource,
    Certificates,
    Client,
    ClientNamespace,
    MTLSClientSpec,
    MTLSService,
)

CERTIFICATE_DURATION: Final = timedelta(hours=24)
AUTHORITY_DURATION: Final = timedelta(hours=720)
SHORTEST_CLIENT_DURATION: Final = timedelta(minutes=10)
"""Kubelet needs a minute or two to deliver a Secret; callers that mount it need several of them."""
SHORTEST_REST: Final = timedelta(seconds=30)
"""The least time from one renewal to the next: a certificate renewed earlier would keep everybody busy."""
TRUST_DOMAIN: Final = "cluster.local"
MAX_CLIENTS: Final = 50
"""MTLSClients of one namespace."""
RENEWED_AT_HALF: Final = timedelta(hours=24)
"""Up to this duration a certificate is renewed at its half, beyond at two thirds."""


class KeyChoice(NamedTuple):
    """Algorithm of a private key, and its size in bits."""

    algorithm: Literal["ECDSA", "RSA", "Ed25519"]
    size: int


_KEY_SIZES: Final = {"ECDSA": 256, "RSA": 2048, "Ed25519": 256}


def key_profile(certificates: Certificates) -> KeyChoice:
    """Return the kind of key of every certificate: ECDSA on P-256 where nothing is said."""
    key = certificates.private_key
    algorithm = key.algorithm or "ECDSA"
    return KeyChoice(algorithm, key.size or _KEY_SIZES[algorithm])


def trust_domain(certificates: Certificates) -> str:
    """Return the trust domain of SPIFFE ids."""
    return certificates.trust_domain or TRUST_DOMAIN


def certificate_duration(certificates: Certificates) -> timedelta:
    """Return how long the server's certificate holds."""
    return _duration(certificates.duration, CERTIFICATE_DURATION)


def renew_before(certificates: Certificates, duration: timedelta) -> timedelta:
    """Return how long before its end a certificate of this duration is renewed.

    The user's choice holds for each certificate that outlasts it; any other is renewed at half of its
    duration up to a day, a third before its end beyond.
    """
    default = duration / 2 if duration <= RENEWED_AT_HALF else duration / 3
    chosen = _duration(certificates.renew_before, default)
    return chosen if duration - chosen >= SHORTEST_REST else default


def allows_short_lived(service: MTLSService) -> bool:
    """Tell whether clients of this service may get certificates of less than 10 minutes."""
    return service.metadata.annotations.get(names.ANNOTATION_ALLOW_SHORT_LIVED) == "true"


def client_duration(service: MTLSService, client: Client | MTLSClientSpec) -> timedelta:
    """Return how long the certificate of this client holds: at least 10 minutes, unless that is lifted.

    An MTLSClient gets none that outlasts those that the service asks for: how long authorities must hold,
    and how long they are trusted, goes by the longest.
    """
    duration = _client_duration(service, client.duration)
    return duration if isinstance(client, Client) else min(duration, _longest_client_duration(service))


def max_clients(consent: ClientNamespace) -> int:
    """Return how many MTLSClients of this namespace are served."""
    return MAX_CLIENTS if consent.max_clients is None else consent.max_clients


def authority_duration(source: AuthoritySource) -> timedelta:
    """Return how long a generation of this authority holds."""
    return _duration(source.generated.duration if source.generated else None, AUTHORITY_DURATION)


def propagation(service: MTLSService) -> timedelta:
    """Return how long callers get to pick up a new trust bundle.

    Where nothing is said: the longest duration of a client's certificate. It never exceeds a quarter of the
    life of an authority that is generated.
    """
    authority = service.spec.authority
    generated = [source for source in (authority.server, authority.client) if not source.secret_ref]
    chosen = _duration(authority.propagation, _longest_client_duration(service))
    return min([chosen, *(authority_duration(source) / 4 for source in generated)])


def _longest_client_duration(service: MTLSService) -> timedelta:
    clients = service.spec.clients
    chosen = [client.duration for client in clients]
    others = [None] if service.spec.client_namespaces or not clients else []
    return max(_client_duration(service, duration) for duration in [*chosen, *others])


def _client_duration(service: MTLSService, chosen: str | None) -> timedelta:
    duration = _duration(chosen, certificate_duration(service.spec.certificates))
    return duration if allows_short_lived(service) else max(duration, SHORTEST_CLIENT_DURATION)


def _duration(chosen: str | None, default: timedelta) -> timedelta:
    return default if chosen is None else durations.parse(chosen)
