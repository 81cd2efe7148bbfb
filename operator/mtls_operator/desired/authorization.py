"""Whom else the server serves, and who may send which requests: the spec's rules and routes in its terms."""

from mtls_operator.api.types import Authorization, AuthorizationRoute, AuthorizationRule
from mtls_server.contract import OWN_SOURCE, Route, Rule


def rules(authorization: Authorization) -> tuple[Rule, ...]:
    """Return the rules in the spec's order, of which the first that matches grants."""
    return tuple(_rule(rule) for rule in authorization.rules)


def routes(authorization: Authorization) -> tuple[Route, ...]:
    """Return the routes in the spec's order, of which the first that matches decides."""
    return tuple(_route(route) for route in authorization.routes)


def _rule(rule: AuthorizationRule) -> Rule:
    return Rule(
        source=rule.source or OWN_SOURCE,
        spiffe_id=rule.spiffe_id,
        uri=rule.uri,
        dns=rule.dns,
        cn=rule.cn,
        fingerprint=rule.fingerprint,
        roles=rule.roles,
        tenant=rule.tenant,
        deny=rule.deny,
    )


def _route(route: AuthorizationRoute) -> Route:
    return Route(path=route.path, methods=route.methods, roles=route.roles)
