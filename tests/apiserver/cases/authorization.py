"""Whom a service trusts: its authorities, further CAs, and whom their certificates stand for."""

from typing import Any

from mtls_operator.api.rules import authorization
from tests.apiserver.cases.case import Case, Spec

PARTNER: Spec = {"name": "partner", "configMapRef": {"name": "partner", "key": "ca.crt"}}
TRUSTED: Spec = {"name": "partner", "key": "ca.crt"}


def trust(**fields: Any) -> Spec:
    return {"trust": [{"name": "partner"} | fields]}


def rule(**fields: Any) -> Spec:
    return {"authorization": {"rules": [fields]}}


def route(**fields: Any) -> Spec:
    return {"authorization": {"routes": [fields]}}


CASES = [
    *(
        Case(
            authorization.AUTHORITY_SOURCE,
            f"spec.authority.{role}",
            (
                {"authority": {role: {}}},
                {"authority": {role: {"secretRef": {"name": "our-ca"}}}},
                {"authority": {role: {"generated": {"duration": "800h"}}}},
            ),
            ({"authority": {role: {"secretRef": {"name": "our-ca"}, "generated": {}}}},),
        )
        for role in ("server", "client")
    ),
    Case(
        authorization.TRUST_SOURCE,
        "spec.trust[0]",
        (trust(configMapRef=TRUSTED), trust(secretRef=TRUSTED)),
        (trust(), trust(configMapRef=TRUSTED, secretRef=TRUSTED)),
    ),
    Case(
        authorization.TRUST_NAME,
        "spec.trust[0].name",
        ({"trust": [PARTNER]},),
        ({"trust": [PARTNER | {"name": "own"}]},),
    ),
    Case(
        authorization.IDENTITY,
        "spec.authorization.rules[0]",
        (rule(cn="billing"), rule(dns="billing.example", roles=["reader"], tenant="acme")),
        (rule(roles=["reader"]), rule(cn="billing", dns="billing.example")),
    ),
    Case(
        authorization.DENY,
        "spec.authorization.rules[0]",
        (rule(cn="billing", deny=True), rule(cn="billing", deny=False, roles=["reader"])),
        (rule(cn="billing", deny=True, roles=["reader"]), rule(cn="billing", deny=True, tenant="acme")),
    ),
    Case(
        authorization.KNOWN_SOURCE,
        "spec.authorization.rules",
        (
            rule(cn="billing", source="own"),
            {"trust": [PARTNER]} | rule(cn="billing", source="partner"),
        ),
        (
            rule(cn="billing", source="partner"),
            {"trust": [PARTNER]} | rule(cn="billing", source="partners"),
        ),
    ),
    Case(
        authorization.SPIFFE_ID[0],
        "spec.authorization.rules[0].spiffeId",
        tuple(
            rule(spiffeId=spiffe_id)
            for spiffe_id in (
                "spiffe://shop.example/billing",
                "spiffe://cluster.local/ns/*/sa/billing",
                "spiffe://a_b/*",
                "spiffe://shop.example/A.b-c_1",
            )
        ),
        tuple(
            rule(spiffeId=spiffe_id)
            for spiffe_id in (
                "billing",
                "spiffe://shop.example",
                "spiffe://Shop.example/billing",
                "spiffe://*/billing",
                "spiffe://shop.example/bill*",
                "spiffe://shop.example/**",
                "spiffe://shop.example//billing",
                "spiffe://shop.example/billing/",
                "spiffe://shop.example:8443/billing",
                "spiffe://shop.example/bill%69ng",
                "spiffe://shop.example/billing?a",
                "spiffe://shop.example/billing#a",
                "https://shop.example/billing",
            )
        ),
    ),
    Case(
        authorization.SPIFFE_ID[1],
        "spec.authorization.rules[0].spiffeId",
        (rule(spiffeId="spiffe://shop.example/.../.a"),),
        (rule(spiffeId="spiffe://shop.example/../billing"), rule(spiffeId="spiffe://shop.example/.")),
    ),
    Case(
        authorization.URI,
        "spec.authorization.rules[0].uri",
        tuple(rule(uri=uri) for uri in ("https://billing.example/", "urn:uuid:7c1f5b7e", "spiffe://a/b")),
        tuple(rule(uri=uri) for uri in ("billing", "https://*.example/", "https://a b", "HTTPS://a", "u:é")),
    ),
    Case(
        authorization.COMMON_NAME,
        "spec.authorization.rules[0].cn",
        (rule(cn="Billing Service"),),
        (rule(cn="*.example"),),
    ),
    Case(
        authorization.FINGERPRINT,
        "spec.authorization.rules[0].fingerprint",
        (rule(fingerprint="0a" * 32),),
        (rule(fingerprint="0A" * 32), rule(fingerprint="0a" * 31), rule(fingerprint="0a:" * 21)),
    ),
    Case(
        authorization.PATH[0],
        "spec.authorization.routes[0].path",
        tuple(
            route(path=path)
            for path in ("/", "/orders", "/orders/", "/orders/*/lines", "/orders/**", "/**", "/a;b=c/~d@e:f")
        ),
        tuple(
            route(path=path)
            for path in (
                "orders",
                "*",
                "//",
                "/orders//lines",
                "/**/lines",
                "/orders**",
                "/ord*",
                "/orders/%2e",
                "/orders?a=b",
                "/orders#a",
                "/or ders",
                "/orders\\lines",
                "/é",
            )
        ),
    ),
    Case(
        authorization.PATH[1],
        "spec.authorization.routes[0].path",
        (route(path="/.well-known/..."),),
        (route(path="/orders/../admin"), route(path="/."), route(path="/./a")),
    ),
    Case(
        authorization.METHOD,
        "spec.authorization.routes[0].methods[0]",
        (route(path="/", methods=["GET", "PROPFIND"]),),
        (route(path="/", methods=["get"]), route(path="/", methods=["*"])),
    ),
]
