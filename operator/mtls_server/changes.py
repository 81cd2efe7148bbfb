"""What a new generation decides otherwise than the one before it; pure."""

from collections.abc import Mapping
from typing import Any

from mtls_server.contract import Policy
from mtls_server.material import Generation, Peer
from mtls_server.policy import authority


def keys(peer: Peer) -> frozenset[str]:
    """Return what a change can name a peer by: its URI, and the public keys of the authorities above it."""
    uri = peer.identity.uri if peer.identity is not None else None
    authorities = (authority(issuer).public_key for issuer in peer.chain[1:])
    return frozenset(authorities if uri is None else (uri, *authorities))


def between(old: Generation, new: Generation) -> frozenset[str]:
    """Return the keys of all peers that the generations may judge differently.

    A renewal of the server's certificate concerns nobody.
    """
    return (
        _differing(old.policy.clients, new.policy.clients)
        | _differing(old.policy.revoked, new.policy.revoked)
        | _differing(_sources(old.policy), _sources(new.policy))
        | {anchor.public_key for anchor in old.trusted ^ new.trusted}
    )


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _sources(policy: Policy) -> dict[str, str]:
    """Public key to the source that it speaks for: the first that lists it."""
    listed = [(key, source) for source, sources_keys in policy.sources.items() for key in sources_keys]
    return dict(reversed(listed))
