"""Single values: names, numbers, addresses."""

from collections.abc import Callable
from typing import Any

from mtls_operator.api.rules import values
from tests.apiserver.cases.case import Case, Spec, certificates, client


def peer(**fields: Any) -> Spec:
    return {"networkPolicy": {"from": [fields]}}


def requirement(**fields: Any) -> Spec:
    return peer(podSelector={"matchExpressions": [{"key": "app"} | fields]})


NAMING: dict[str, Callable[[str], Spec]] = {
    "authority.client.secretRef.name": lambda name: {"authority": {"client": {"secretRef": {"name": name}}}},
    "trust[0].configMapRef.name": lambda name: {
        "trust": [{"name": "partner", "configMapRef": {"name": name, "key": "ca.crt"}}]
    },
    "clients[0].formats[0].passwordSecretRef.name": lambda name: client(
        formats=[{"type": "PKCS12", "passwordSecretRef": {"name": name, "key": "password"}}]
    ),
    "clients[0].restart[0].name": lambda name: client(restart=[{"kind": "Deployment", "name": name}]),
}
"""Fields that refer to objects; the policy of the chart splits lists of these names."""


CASES = [
    Case(
        values.DURATION,
        "spec.certificates.duration",
        tuple(certificates(duration=spelled) for spelled in ("60s", "24h", "90m", "1h30m", "30m1h", "0h60s")),
        tuple(
            certificates(duration=spelled)
            for spelled in (
                "1d",
                "24",
                "-1h",
                "1.5h",
                "1h 30m",
                "1H",
                "9999999h",
                "99999999999999999m",
                "ten hours",
            )
        ),
    ),
    Case(values.PORT[0], "spec.port", ({"port": 8080}, {"port": 8443}), ({"port": 8081},)),
    Case(values.PORT[1], "spec.port", ({"port": 1024}, {"port": 65535}), ({"port": 1023}, {"port": 443})),
    Case(
        values.EXTRA_PORT,
        "spec.networkPolicy.extraPorts[0].port",
        ({"networkPolicy": {"extraPorts": [{"port": 9090}, {"port": 53, "protocol": "UDP"}]}},),
        ({"networkPolicy": {"extraPorts": [{"port": 8081}]}},),
    ),
    Case(
        values.LABEL,
        "spec.clients[0].name",
        tuple(client(name=name) for name in ("billing", "b", "7", "a-client-b", "x" * 63)),
        tuple(client(name=name) for name in ("Billing", "-b", "b-", "b.c", "b_c", "b/../c", "bé")),
    ),
    Case(
        values.ROLE,
        "spec.clients[0].roles[0]",
        tuple(client(roles=[role]) for role in ("reader", "orders:read", "A/b.c_d-e")),
        tuple(client(roles=[role]) for role in ("a b", "-a", "a,b", "a\n")),
    ),
    Case(
        values.TENANT,
        "spec.clients[0].tenant",
        (client(tenant="acme"),),
        tuple(client(tenant=tenant) for tenant in ("a b", "acme/", '"')),
    ),
    Case(
        values.DNS_NAME,
        "spec.certificates.dnsNames[0]",
        tuple(
            certificates(dnsNames=[name]) for name in ("orders", "orders.example.com", "*.example.com", "7.x")
        ),
        tuple(
            certificates(dnsNames=[name])
            for name in (
                "Orders.com",
                "a..b",
                ".a",
                "a.",
                "a.*.b",
                "*",
                "a_b",
                "x" * 64,
                "https://a",
                "a:8443",
            )
        ),
    ),
    Case(
        values.HOST_NAME,
        "spec.authorization.rules[0].dns",
        tuple({"authorization": {"rules": [{"dns": name}]}} for name in ("billing", "billing.example")),
        tuple(
            {"authorization": {"rules": [{"dns": name}]}}
            for name in ("*.example", "Billing.example", "billing.example.", "a_b", "a:8443")
        ),
    ),
    Case(
        values.IP_ADDRESS,
        "spec.certificates.ipAddresses[0]",
        tuple(
            certificates(ipAddresses=[address])
            for address in (
                "192.0.2.7",
                "203.0.113.255",
                "::",
                "::1",
                "2001:db8::7",
                "2001:db8::",
                "1:2:3:4:5:6:7:8",
            )
        ),
        tuple(
            certificates(ipAddresses=[address])
            for address in (
                "256.0.0.1",
                "1.2.3",
                "1.2.3.4.",
                "01.2.3.4",
                "1.2.3.4/32",
                "2001:DB8::7",
                ":::",
                ":1",
                "1:",
                "1::2::3",
                "1:2:3:4:5:6:7",
                "1:2:3:4:5:6:7:8:9",
                "1::2:3:4:5:6:7:8",
                "fe80::1%eth0",
                "::ffff:1.2.3.4",
                "12345::",
            )
        ),
    ),
    Case(
        values.TRUST_DOMAIN,
        "spec.certificates.trustDomain",
        tuple(certificates(trustDomain=domain) for domain in ("cluster.local", "shop", "a_b.c-d")),
        tuple(
            certificates(trustDomain=domain)
            for domain in ("Shop", "spiffe://a", "a/b", "a:1", "a..b", ".", "%61")
        ),
    ),
    Case(
        values.KEY_SIZE,
        "spec.certificates.privateKey",
        tuple(
            certificates(privateKey=key)
            for key in (
                {},
                {"size": 384},
                {"algorithm": "ECDSA"},
                {"algorithm": "ECDSA", "size": 256},
                {"algorithm": "RSA"},
                {"algorithm": "RSA", "size": 4096},
                {"algorithm": "Ed25519"},
            )
        ),
        tuple(
            certificates(privateKey=key)
            for key in (
                {"size": 2048},
                {"algorithm": "ECDSA", "size": 521},
                {"algorithm": "RSA", "size": 1024},
                {"algorithm": "RSA", "size": 2049},
                {"algorithm": "Ed25519", "size": 256},
            )
        ),
    ),
    *(
        Case(
            values.REFERENCE,
            f"spec.{field}",
            tuple(naming(name) for name in ("shop", "shop.v2", "7-shop")),
            tuple(naming(name) for name in ("Shop", "shop/v2", "shop v2", "shop,v2", "shop|v2")),
        )
        for field, naming in NAMING.items()
    ),
    Case(
        values.OUR_KEYS,
        "spec.service.annotations",
        ({"service": {"annotations": {"example.com/balancer": "internal"}}},),
        ({"service": {"annotations": {"mtls-operator.io/desired": "x"}}},),
    ),
    Case(
        values.NETWORK_POLICY_PEER,
        "spec.networkPolicy.from[0]",
        (
            peer(podSelector={}),
            peer(namespaceSelector={"matchLabels": {"team": "shop"}}),
            peer(podSelector={}, namespaceSelector={}),
            peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}),
        ),
        (peer(), peer(podSelector={}, ipBlock={"cidr": "10.0.0.0/8"})),
    ),
    Case(
        values.SELECTOR_VALUES,
        "spec.networkPolicy.from[0].podSelector.matchExpressions[0]",
        (requirement(operator="In", values=["a"]), requirement(operator="Exists")),
        (requirement(operator="In"), requirement(operator="DoesNotExist", values=["a"])),
    ),
]
