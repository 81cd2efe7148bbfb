"""The policy that the server enforces: the spec's clients by the identities their certificates carry."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from mtls_operator.api import defaults, names
from mtls_operator.api.types import MTLSService
from mtls_operator.desired import authorization
from mtls_server.contract import OWN_SOURCE, POLICY_VERSION, Client, Policy


def policy(
    service: MTLSService,
    *,
    server_names: Sequence[str],
    own_authorities: Sequence[str],
    revoked: Mapping[str, datetime],
) -> Policy:
    """Decide whom the server serves.

    Args:
        service: whose server it is.
        server_names: DNS names that its certificate carries.
        own_authorities: SHA-256 (lower-case hex) of the public keys of the client authority's generations.
        revoked: identity to the moment before which its certificates must not have begun.
    """
    metadata, spec = service.metadata, service.spec
    trust_domain = defaults.trust_domain(spec.certificates)
    clients = {
        names.client_uri(trust_domain, metadata.namespace, metadata.name, client.name): Client(
            client.name, client.roles, client.tenant
        )
        for client in spec.clients
        if not client.revoked
    }
    return Policy(
        version=POLICY_VERSION,
        server_names=tuple(server_names),
        sources={OWN_SOURCE: tuple(own_authorities)},
        clients=clients,
        rules=authorization.rules(spec.authorization),
        routes=authorization.routes(spec.authorization),
        revoked=dict(revoked),
    )
