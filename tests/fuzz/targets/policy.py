"""The mounted policy: refused in a sentence, or decided as its documentation says, by index as by list."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import msgspec
import pytest

from mtls_server.authorization.paths import canonical_path
from mtls_server.authorization.policy import Authorisation
from mtls_server.contract import OWN_SOURCE, Client, Policy, Route, Rule, decode_policy, encode_policy
from mtls_server.http.gate import judge_route
from mtls_server.identity import Identity, Name, Reason, RefusedError, parse
from tests.fuzz import reference
from tests.fuzz.documents import Document, places
from tests.fuzz.target import Target
from tests.fuzz.world import CALLER, CLIENT_AUTHORITY, FILES, NOW, PARTNER, STRANGER
from tests.unit.server.pki import BILLING_URI

CALLERS = [parse(CALLER.der)]
PATHS = ("/", "/admin", "/admin/", "/orders/1/lines", "/a;/b", "/;x/admin", "/a\u00e9")


def check(data: bytes) -> None:
    try:
        policy = decode_policy(data)
        authorisation = Authorisation.compile(policy)
    except ValueError:
        return
    assert decode_policy(encode_policy(policy)) == policy
    for caller in (*CALLERS, *callers_of(policy)):
        for source in {OWN_SOURCE, *policy.sources, *(rule.source for rule in policy.rules)}:
            is_decided_alike(authorisation, caller, source)
    for issuer in (CLIENT_AUTHORITY, PARTNER, STRANGER):
        is_vouched_for(authorisation, issuer.der, issuer.spki)


def callers_of(policy: Policy) -> Iterator[Identity]:
    """Make callers that the policy is about, and some that resemble them."""
    for uri in (*policy.clients, *policy.revoked):
        for begins in (NOW, policy.revoked.get(uri, NOW) - timedelta(seconds=1)):
            yield msgspec.structs.replace(CALLERS[0], uri=uri, valid_from=begins, spiffe_id=uri)
    for rule in policy.rules:
        yield caller_of(rule, "a")
        yield caller_of(rule, "a/b")
        yield caller_of(rule, "a", policy.rules)


def caller_of(rule: Rule, segment: str, others: Sequence[Rule] = ()) -> Identity:
    """Make a caller that a rule is about, and others where they do not contradict it."""
    rules = (rule, *others)
    uri = first(one.spiffe_id or one.uri for one in rules)
    dns = [one.dns for one in rules if one.dns is not None]
    return msgspec.structs.replace(
        CALLERS[0],
        subject=Name(first(one.cn for one in rules), ""),
        uri=uri,
        spiffe_id=uri and uri.replace("*", segment),
        dns_names=("*.example", *dns, *(name.upper() for name in dns)),
        fingerprint_sha256=bytes.fromhex(first(one.fingerprint for one in rules) or "00").hex(":").upper(),
    )


def first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def is_decided_alike(authorisation: Authorisation, caller: Identity, source: str) -> None:
    decided: tuple[Reason | None, str]
    try:
        identity, by = authorisation.authorise(caller, source)
    except RefusedError as error:
        decided = error.refusal.reason, error.refusal.by
    else:
        decided = None, by
        assert identity.uri == caller.uri
        is_routed_alike(authorisation, identity)
    assert decided == reference.decision(authorisation.policy, caller, source)


def is_routed_alike(authorisation: Authorisation, caller: Identity) -> None:
    routes = authorisation.policy.routes
    for path in (*PATHS, *filter(None, (canonical_path(route.path.encode()) for route in routes))):
        for method in ("GET", "HEAD", "POST"):
            number = reference.first_route(routes, method, path)
            found = authorisation.routes.first(method, path)
            assert (found and found.number) == number
            if judge_route(authorisation.routes, caller, method, path) is None and routes:
                assert number is not None
                assert not routes[number].roles or set(routes[number].roles) & set(caller.roles)


def is_vouched_for(authorisation: Authorisation, issuer: bytes, spki: str) -> None:
    sources = [source for source, keys in authorisation.policy.sources.items() if spki in keys]
    if sources:
        assert authorisation.source_of([issuer]) == sources[0]
    else:
        with pytest.raises(RefusedError, match="no source of the policy"):
            authorisation.source_of([issuer])


WORDS = (
    *("own", "partner", "*", "**", "/", "/**", "/orders/*", "/a//b", "/..", "GET", "get", "HEAD", "", "\0"),
    *(BILLING_URI, "spiffe://cluster.local/*/a", "spiffe://a/../b", "spiffe://cluster.local/", "dns.example"),
    *("*.example", "Upper.example", "0" * 64, "A" * 64, "caf\u00e9", "\u212a", "reader", "orders", "a/b"),
    *("2026-06-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-06-01"),
    *(CLIENT_AUTHORITY.spki, PARTNER.spki),
)
VALUES: tuple[object, ...] = (None, True, False, 0, 1, -1, 1.5, 1 << 70, [], {})
NAMES = tuple(
    field.encode_name for struct in (Policy, Client, Rule, Route) for field in msgspec.structs.fields(struct)
)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change one value of the document, wherever it is."""
    chance = random.Random(seed)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = json.loads(FILES["policy.json"])
    changed = json.dumps(changed_somewhere(document, chance), ensure_ascii=chance.random() < 0.5)
    return changed.encode("utf-8", "replace")[:max_size]


def changed_somewhere(value: object, chance: random.Random) -> object:
    if isinstance(value, dict | list) and value and chance.random() < 0.9:
        return changed_inside(value, chance)
    if isinstance(value, bool) or chance.random() < 0.1:
        return chance.choice(VALUES)
    if isinstance(value, str) and chance.random() < 0.4:
        place = chance.randrange(len(value) + 1)
        return value[:place] + chance.choice(WORDS) + value[place + chance.randrange(3) :]
    return chance.choice(
        [chance.choice(WORDS), [chance.choice(WORDS)], {chance.choice(NAMES): chance.choice(WORDS)}]
    )


def changed_inside(value: Document, chance: random.Random) -> Document:
    """Change one value, take it out, or have it twice."""
    changed = value.copy()
    place = chance.choice(places(changed))
    match chance.randrange(8):
        case 0:
            del changed[place]
        case 1:
            if isinstance(changed, list):
                changed.insert(0, changed[place])
            else:
                changed[chance.choice(NAMES + WORDS)] = changed[place]
        case _:
            changed[place] = changed_somewhere(changed[place], chance)
    return changed


TARGET = Target(
    check,
    seeds=[
        FILES["policy.json"],
        b'{"version":1,"serverNames":[],"sources":{}}',
        b'{"version":2,"serverNames":[],"sources":{}}',
        b"{}",
        b"[" * 2000,
        encode_policy(
            Policy(
                1,
                (),
                {OWN_SOURCE: (PARTNER.spki, CLIENT_AUTHORITY.spki), "partner": (PARTNER.spki,)},
                rules=tuple(
                    Rule(source=source, spiffe_id=spiffe_id, deny=deny)
                    for source in (OWN_SOURCE, "partner")
                    for spiffe_id in (BILLING_URI, "spiffe://cluster.local/*/a", "spiffe://cluster.local/b/*")
                    for deny in (False, True)
                ),
            )
        ),
    ],
    words=[
        word.encode("utf-8", "replace") for word in (*WORDS[:-2], *(f'"{name}":' for name in NAMES)) if word
    ],
    max_bytes=4096,
    mutate=mutate,
)
