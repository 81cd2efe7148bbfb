"""What each rule of the CRD lets pass and what it refuses; the nearest on either side."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mtls_operator.api import rules
from mtls_operator.api.schema import Rule

Spec = dict[str, Any]

NONE: Spec = {"backend": {"none": {}}}
PASSWORD = {"name": "password", "key": "password"}
BILLING = {"name": "billing"}


class Case(NamedTuple):
    """What a rule lets pass and refuses, and the field that it blames."""

    rule: Rule
    field: str
    accepted: tuple[Spec, ...]
    refused: tuple[Spec, ...]


def certificates(**fields: Any) -> Spec:
    return {"certificates": fields}


def client(**fields: Any) -> Spec:
    return {"clients": [BILLING | fields]}


def pod(**fields: Any) -> Spec:
    return {"template": {"spec": fields}}


def container(**fields: Any) -> Spec:
    return pod(containers=[{"name": "sidecar"} | fields])


def volume(**fields: Any) -> Spec:
    return pod(volumes=[{"name": "data"} | fields])


def peer(**fields: Any) -> Spec:
    return {"networkPolicy": {"from": [fields]}}


def requirement(**fields: Any) -> Spec:
    return peer(podSelector={"matchExpressions": [{"key": "app"} | fields]})


def authority(role: str, duration: str, **rest: Any) -> Spec:
    return {"authority": {role: {"generated": {"duration": duration}}}} | rest


def not_with_none(number: int, field: str, value: Any) -> Case:
    return Case(rules.NOT_WITH_NONE[number], f"spec.{field}", (NONE,), (NONE | {field: value},))


READERS: dict[str, Callable[[str], Spec]] = {
    "volumes[0].secret.secretName": lambda name: volume(secret={"secretName": name}),
    "volumes[0].projected.sources[0].secret.name": lambda name: volume(
        projected={"sources": [{"secret": {"name": name}}]}
    ),
    "containers[0].env[0].valueFrom.secretKeyRef.name": lambda name: container(
        env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": name, "key": "key"}}}]
    ),
    "containers[0].envFrom[0].secretRef.name": lambda name: container(
        envFrom=[{"secretRef": {"name": name}}]
    ),
    "initContainers[0].envFrom[0].secretRef.name": lambda name: pod(
        initContainers=[{"name": "warm-up", "envFrom": [{"secretRef": {"name": name}}]}]
    ),
}
"""Every field of a pod that names a Secret."""


CASES = [
    Case(
        rules.DURATION,
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
    Case(rules.PORT[0], "spec.port", ({"port": 8080}, {"port": 8443}), ({"port": 8081},)),
    Case(rules.PORT[1], "spec.port", ({"port": 1024}, {"port": 65535}), ({"port": 1023}, {"port": 443})),
    Case(
        rules.EXTRA_PORT,
        "spec.networkPolicy.extraPorts[0].port",
        ({"networkPolicy": {"extraPorts": [{"port": 9090}, {"port": 53, "protocol": "UDP"}]}},),
        ({"networkPolicy": {"extraPorts": [{"port": 8081}]}},),
    ),
    Case(
        rules.ONE_BACKEND,
        "spec.backend",
        ({"backend": {"identity": {}}}, {"backend": {"asgi": {"app": "shop:app"}}}, NONE),
        ({"backend": {}}, {"backend": {"identity": {}, "none": {}}}),
    ),
    Case(
        rules.APPLICATION,
        "spec.backend.asgi.app",
        tuple(
            {"backend": {"asgi": {"app": app}}} for app in ("shop:app", "shop.orders_v2:make.app", "_a:_b")
        ),
        tuple(
            {"backend": {"asgi": {"app": app}}}
            for app in (
                "shop",
                "shop:",
                ":app",
                "shop/orders:app",
                "shop:app()",
                "shop.orders:app --reload",
                "1a:b",
            )
        ),
    ),
    Case(
        rules.LABEL,
        "spec.clients[0].name",
        tuple(client(name=name) for name in ("billing", "b", "7", "a-client-b", "x" * 63)),
        tuple(client(name=name) for name in ("Billing", "-b", "b-", "b.c", "b_c", "b/../c", "bé")),
    ),
    Case(
        rules.ROLE,
        "spec.clients[0].roles[0]",
        tuple(client(roles=[role]) for role in ("reader", "orders:read", "A/b.c_d-e")),
        tuple(client(roles=[role]) for role in ("a b", "-a", "a,b", "a\n")),
    ),
    Case(
        rules.TENANT,
        "spec.clients[0].tenant",
        (client(tenant="acme"),),
        tuple(client(tenant=tenant) for tenant in ("a b", "acme/", '"')),
    ),
    Case(
        rules.DNS_NAME,
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
        rules.IP_ADDRESS,
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
        rules.TRUST_DOMAIN,
        "spec.certificates.trustDomain",
        tuple(certificates(trustDomain=domain) for domain in ("cluster.local", "shop", "a_b.c-d")),
        tuple(
            certificates(trustDomain=domain)
            for domain in ("Shop", "spiffe://a", "a/b", "a:1", "a..b", ".", "%61")
        ),
    ),
    Case(
        rules.KEY_SIZE,
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
    Case(
        rules.SHORTEST_CERTIFICATE,
        "spec.certificates",
        (certificates(duration="60s"), certificates(duration="1m")),
        (certificates(duration="59s"), certificates(duration="0h")),
    ),
    Case(
        rules.SHORTEST_CERTIFICATE,
        "spec.clients[0]",
        (client(duration="60s"),),
        (client(duration="59s"),),
    ),
    Case(
        rules.SHORTEST_CERTIFICATE_OF_OTHERS,
        "spec",
        (NONE, NONE | certificates(duration="10m"), certificates(duration="9m")),
        (NONE | certificates(duration="9m59s"),),
    ),
    Case(
        rules.RENEW_BEFORE,
        "spec.certificates",
        (
            certificates(duration="60s", renewBefore="30s"),
            certificates(renewBefore="23h59m30s"),
            certificates(duration="30m", renewBefore="1m"),
        ),
        (
            certificates(duration="2m", renewBefore="29s"),
            certificates(duration="60s", renewBefore="31s"),
            certificates(duration="1h", renewBefore="1h"),
            certificates(renewBefore="24h"),
        ),
    ),
    *(
        Case(
            rule,
            "spec.authority",
            (
                {},
                certificates(duration="90h"),
                authority(role, "80m", **certificates(duration="60s"), **client()),
                authority(role, "8m", **certificates(duration="60s")),
                certificates(duration="120h") | client(duration="60h"),
            ),
            (
                certificates(duration="91h"),
                authority(role, "79m", **certificates(duration="60s"), **client()),
                authority(role, "7m59s", **certificates(duration="60s")),
                certificates(duration="121h") | client(duration="60h"),
                certificates(duration="120h") | client(duration="61h"),
                client(duration="91h"),
                authority(role, "1h"),
            ),
        )
        for role, rule in zip(("server", "client"), rules.AUTHORITIES, strict=True)
    ),
    not_with_none(0, "authorization", {}),
    not_with_none(1, "tls", {"minVersion": "1.2"}),
    not_with_none(2, "template", {}),
    not_with_none(3, "image", "registry.example/orders:1"),
    not_with_none(4, "route", {"enabled": True}),
    not_with_none(5, "service", {"type": "ClusterIP"}),
    not_with_none(6, "networkPolicy", {"enabled": False}),
    Case(
        rules.NOT_WITH_NONE[7],
        "spec.clients",
        (NONE | client(), NONE | client(revoked=False)),
        (NONE | client(revoked=True),),
    ),
    Case(
        rules.NOT_YET_BACKENDS[0], "spec.backend.wsgi", ({},), ({"backend": {"wsgi": {"app": "shop:app"}}},)
    ),
    Case(
        rules.NOT_YET_BACKENDS[1],
        "spec.backend.upstream",
        ({},),
        ({"backend": {"upstream": {"url": "http://127.0.0.1:8080"}}},),
    ),
    Case(
        rules.NOT_YET_SPEC[0],
        "spec.trust",
        ({},),
        ({"trust": [{"name": "partner", "configMapRef": {"name": "partner", "key": "ca.crt"}}]},),
    ),
    Case(
        rules.NOT_YET_SPEC[1], "spec.clientNamespaces", ({},), ({"clientNamespaces": [{"namespace": "web"}]},)
    ),
    Case(
        rules.NOT_YET_SPEC[2], "spec.restart", ({},), ({"restart": [{"kind": "Deployment", "name": "shop"}]},)
    ),
    Case(
        rules.NOT_YET_SPEC[3],
        "spec.authorization",
        ({},),
        ({"authorization": {"rules": [{"cn": "billing", "roles": ["reader"]}]}},),
    ),
    Case(rules.NOT_YET_SPEC[4], "spec.route", ({},), ({"route": {"enabled": True, "host": "a.example"}},)),
    Case(
        rules.NOT_YET_SPEC[5],
        "spec.deletionPolicy",
        ({"deletionPolicy": "Delete"},),
        ({"deletionPolicy": "Retain"},),
    ),
    Case(
        rules.NOT_YET_CLIENT[0], "spec.clients[0].revoked", (client(revoked=False),), (client(revoked=True),)
    ),
    Case(
        rules.NOT_YET_CLIENT[1],
        "spec.clients[0].formats",
        (client(),),
        (client(formats=[{"type": "PKCS12", "passwordSecretRef": PASSWORD}]),),
    ),
    Case(
        rules.NOT_YET_CLIENT[2],
        "spec.clients[0].restart",
        (client(),),
        (client(restart=[{"kind": "Deployment", "name": "billing"}]),),
    ),
    Case(
        rules.NOT_YET_AUTHORITY[0],
        "spec.authority.propagation",
        ({"authority": {}},),
        ({"authority": {"propagation": "1h"}},),
    ),
    Case(
        rules.NOT_YET_AUTHORITY_SOURCE[0],
        "spec.authority.client.secretRef",
        (authority("client", "800h"),),
        ({"authority": {"client": {"secretRef": {"name": "our-ca"}}}},),
    ),
    Case(
        rules.OUR_KEYS,
        "spec.service.annotations",
        ({"service": {"annotations": {"example.com/balancer": "internal"}}},),
        ({"service": {"annotations": {"mtls-operator.io/desired": "x"}}},),
    ),
    Case(
        rules.NETWORK_POLICY_PEER,
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
        rules.SELECTOR_VALUES,
        "spec.networkPolicy.from[0].podSelector.matchExpressions[0]",
        (requirement(operator="In", values=["a"]), requirement(operator="Exists")),
        (requirement(operator="In"), requirement(operator="DoesNotExist", values=["a"])),
    ),
    Case(
        rules.POD_IDENTITY,
        "spec.template.spec",
        (pod(nodeSelector={"disk": "ssd"}),),
        (
            pod(serviceAccountName="admin"),
            pod(serviceAccount="admin"),
            pod(automountServiceAccountToken=True),
        ),
    ),
    Case(
        rules.HOST_NAMESPACES,
        "spec.template.spec",
        (pod(hostAliases=[{"ip": "127.0.0.1", "hostnames": ["db"]}]),),
        (pod(hostNetwork=True), pod(hostPID=True), pod(hostIPC=True)),
    ),
    Case(
        rules.EPHEMERAL_CONTAINERS,
        "spec.template.spec",
        (pod(initContainers=[{"name": "warm-up", "image": "example/warm-up:1", "command": ["true"]}]),),
        (pod(ephemeralContainers=[{"name": "debug"}]),),
    ),
    Case(
        rules.HOST_PATH,
        "spec.template.spec.volumes[0]",
        (volume(emptyDir={}), volume(configMap={"name": "settings"})),
        (volume(hostPath={"path": "/"}),),
    ),
    Case(
        rules.SERVICE_ACCOUNT_TOKEN,
        "spec.template.spec.volumes[0].projected.sources[0]",
        (volume(projected={"sources": [{"configMap": {"name": "settings"}}]}),),
        (volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),),
    ),
    Case(
        rules.OUR_VOLUME,
        "spec.template.spec.volumes[0]",
        (volume(emptyDir={}),),
        (volume(name="mtls", emptyDir={}),),
    ),
    Case(
        rules.SERVER_COMMAND,
        "spec.template.spec.containers[0]",
        (
            container(
                name="server", env=[{"name": "LOG_LEVEL", "value": "debug"}], resources={"limits": {"cpu": 1}}
            ),
            container(command=["sleep"], args=["1d"]),
        ),
        (container(name="server", command=["sh"]), container(name="server", args=["--no-tls"])),
    ),
    Case(
        rules.PRIVILEGED,
        "spec.template.spec.containers[0].securityContext",
        (container(securityContext={"privileged": False, "runAsUser": 1000}),),
        (container(securityContext={"privileged": True}),),
    ),
    Case(
        rules.CAPABILITIES,
        "spec.template.spec.containers[0].securityContext.capabilities",
        (container(securityContext={"capabilities": {"drop": ["ALL"]}}),),
        (container(securityContext={"capabilities": {"add": ["NET_ADMIN"]}}),),
    ),
    *(
        Case(
            rules.AUTHORITY_SECRET,
            f"spec.template.spec.{field}",
            (reading("our-authority"), reading("orders")),
            (reading("authority-0c5ab6a5"),),
        )
        for field, reading in READERS.items()
    ),
]
