"""What a new generation decides otherwise than the one before it; pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mtls_server.authorization.policy import Authorisation, authority
from mtls_server.authorization.rules import name_of
from mtls_server.contract import Policy, Rule
from mtls_server.files.material import Generation, Peer

INDEXED: Final = {"uri", "spiffe_id", "fingerprint"}
"""Kinds of names by which connections are found."""


def keys(peer: Peer) -> frozenset[str]:
    """Return what a change can name a peer by.

    That is its URI, its fingerprint, and the public keys of the authorities above it.
    """
    found = {authority(issuer).public_key for issuer in peer.chain[1:]}
    if peer.identity is not None:
        found.add(peer.identity.fingerprint_sha256)
        if peer.identity.uri is not None:
            found.add(peer.identity.uri)
    return frozenset(found)


def between(old: Generation, new: Generation) -> frozenset[str]:
    """Return the keys of all peers that the generations may judge differently.

    A renewal of the server's certificate concerns nobody.
    """
    found = {anchor.public_key for anchor in old.trusted ^ new.trusted}
    if old.authorisation is not new.authorisation:
        found |= _between(old.authorisation, new.authorisation)
    return frozenset(found)


def _between(old: Authorisation, new: Authorisation) -> set[str]:
    rules = _moved(old.policy.rules, new.policy.rules)
    found = {
        *_differing(old.policy.clients, new.policy.clients),
        *_differing(old.policy.revoked, new.policy.revoked),
        *_differing(old.sources, new.sources),
    }
    for policy in (old.policy, new.policy):
        if old.policy.routes != new.policy.routes:
            found.update(*policy.sources.values())
        for rule in rules:
            found.update(_keys_of(rule, policy))
    return found


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    if old == new:  # ten times as fast as asking each
        return set()
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _moved(old: Sequence[Rule], new: Sequence[Rule]) -> Sequence[Rule]:
    """Return the rules that are not in the same place among those before and behind them."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    old, new = old[start:], new[start:]
    end = 0
    while end < min(len(old), len(new)) and old[-1 - end] == new[-1 - end]:
        end += 1
    return [*old[: len(old) - end], *new[: len(new) - end]]


def _keys_of(rule: Rule, policy: Policy) -> Sequence[str]:
    """Return the keys of whom a rule can be about, if need be all of its source."""
    name = name_of(rule)
    return (
        (name.value,)
        if name.kind in INDEXED and "*" not in name.value
        else policy.sources.get(rule.source, ())
    )
