"""The decisions of a policy once more, as documented and without an index: slow, and plain to read."""

from mtls_server.contract import OWN_SOURCE, Policy, Route, Rule
from mtls_server.identity import Identity, Reason


def first_route(routes: tuple[Route, ...], method: str, path: str) -> int | None:
    """Return the number of the route that decides."""
    for number, route in enumerate(routes):
        methods = {*route.methods, *(["HEAD"] if "GET" in route.methods else [])}
        if (not methods or method in methods) and _leads_to(route.path, path):
            return number
    return None


def decision(policy: Policy, identity: Identity, source: str) -> tuple[Reason | None, str]:
    """Return why a caller is refused, if so, and which part of the policy decides."""
    own, uri = source == OWN_SOURCE, identity.uri
    if own and uri in policy.revoked and identity.valid_from < policy.revoked[uri]:
        return Reason.REVOKED, "revoked"
    matching = [(n, rule) for n, rule in enumerate(policy.rules) if _is_about(rule, identity, source)]
    for number, rule in matching:
        if rule.deny:
            return Reason.DENIED, f"rules[{number}]"
    if own and uri in policy.clients:
        return None, "clients"
    return (None, f"rules[{matching[0][0]}]") if matching else (Reason.UNKNOWN_CLIENT, "default")


def _is_about(rule: Rule, identity: Identity, source: str) -> bool:
    return rule.source == source and (
        (rule.fingerprint is not None and rule.fingerprint == _hex(identity.fingerprint_sha256))
        or (rule.uri is not None and rule.uri == identity.uri)
        or (rule.cn is not None and rule.cn == identity.subject.cn)
        or (rule.dns is not None and rule.dns in {n.lower() for n in identity.dns_names if "*" not in n})
        or (
            rule.spiffe_id is not None
            and identity.spiffe_id is not None
            and _alike(rule.spiffe_id.split("/"), identity.spiffe_id.split("/"))
        )
    )


def _hex(fingerprint: str) -> str:
    return fingerprint.replace(":", "").lower()


def _leads_to(pattern: str, path: str) -> bool:
    wanted, found = (text.removesuffix("/").split("/") for text in (pattern, path))
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        found = found[: len(wanted)]
    return _alike(wanted, found)


def _alike(pattern: list[str], segments: list[str]) -> bool:
    return len(pattern) == len(segments) and all(
        segment == wanted or (wanted == "*" and segment != "")
        for wanted, segment in zip(pattern, segments, strict=True)
    )
