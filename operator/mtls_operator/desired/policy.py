"""The policy that the server enforces: callers by the identities that their certificates carry."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from mtls_operator.api import defaults, names
from mtls_operator.api.types import MTLSService
from mtls_operator.desired import authorization
from mtls_server.contract import POLICY_VERSION, Client, Policy


def policy(
    service: MTLSService,
    *,
    server_names: Sequence[str],
    sources: Mapping[str, Sequence[str]],
    revoked: Mapping[str, datetime],
    mtlsclients: Mapping[str, Client],
) -> Policy:
    """Decide whom the server serves.

    Args:
        service: whose server it is.
        server_names: DNS names that its certificate carries.
        sources: `own`, and the entries of `trust`, to the SHA-256 (lower-case hex) of their CAs' public keys.
        revoked: identity to the moment before which its certificates must not have begun.
        mtlsclients: identity of each MTLSClient that is admitted, and what its bearer is called and may do.
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
        sources={name: tuple(keys) for name, keys in sources.items()},
        clients={**mtlsclients, **clients},
        revoked=dict(revoked),
        rules=authorization.rules(spec.authorization),
        routes=authorization.routes(spec.authorization),
    )
