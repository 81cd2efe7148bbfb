"""How long certificates and authorities hold."""

from typing import Any

from mtls_operator.api.rules import lifetimes
from tests.apiserver.cases.case import NONE, Case, Spec, certificates, client

AUTHORITIES = {"server": lifetimes.SERVER_AUTHORITY, "client": lifetimes.CLIENT_AUTHORITY}
GIVEN: Spec = {"authority": {role: {"secretRef": {"name": "our-ca"}} for role in AUTHORITIES}}
ELSEWHERE: Spec = {"clientNamespaces": [{"namespace": "web"}]}


def generated(role: str, duration: str, **rest: Any) -> Spec:
    return {"authority": {role: {"generated": {"duration": duration}}}} | rest


def propagation(propagation: str, role: str = "server", duration: str = "720h", **rest: Any) -> Spec:
    roles = {role: {"generated": {"duration": duration}}}
    return {"authority": roles | {"propagation": propagation}} | rest


CASES = [
    Case(
        lifetimes.SHORTEST_CERTIFICATE,
        "spec.certificates",
        (certificates(duration="60s"), certificates(duration="1m")),
        (certificates(duration="59s"), certificates(duration="0h")),
    ),
    Case(
        lifetimes.SHORTEST_CERTIFICATE,
        "spec.clients[0]",
        (client(duration="60s"),),
        (client(duration="59s"),),
    ),
    Case(
        lifetimes.SHORTEST_CERTIFICATE_OF_OTHERS,
        "spec",
        (NONE, NONE | certificates(duration="10m"), certificates(duration="9m")),
        (NONE | certificates(duration="9m59s"),),
    ),
    Case(
        lifetimes.RENEW_BEFORE,
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
    Case(
        lifetimes.SHORTEST_PROPAGATION,
        "spec.authority.propagation",
        ({"authority": {"propagation": "10s"}}, {"authority": {"propagation": "1h"}}),
        ({"authority": {"propagation": "9s"}}, {"authority": {"propagation": "0h"}}),
    ),
    *(
        Case(
            default,
            "spec.authority",
            (
                {},
                certificates(duration="90h"),
                generated(role, "80m", **certificates(duration="60s"), **client()),
                generated(role, "80m", **certificates(duration="60s"), **ELSEWHERE),
                generated(role, "8m", **certificates(duration="60s")),
                certificates(duration="120h") | client(duration="60h"),
                GIVEN | certificates(duration="9000h"),
            ),
            (
                certificates(duration="91h"),
                generated(role, "79m", **certificates(duration="60s"), **client()),
                generated(role, "79m", **certificates(duration="60s"), **ELSEWHERE),
                generated(role, "7m59s", **certificates(duration="60s")),
                certificates(duration="121h") | client(duration="60h"),
                certificates(duration="120h") | client(duration="61h"),
                client(duration="91h"),
                generated(role, "1h"),
            ),
        )
        for role, (default, _) in AUTHORITIES.items()
    ),
    *(
        Case(
            chosen,
            "spec.authority",
            (
                propagation("156h"),
                propagation("59m", role, "4h", **certificates(duration="60s")),
                propagation("10m", role, "80m", **certificates(duration="10m"), **client()),
                propagation("10s", role, "60m", **certificates(duration="60s"), **client()),
                propagation("10s", role, "60m", **certificates(duration="60s"), **ELSEWHERE),
                propagation("10s", role, "6m", **certificates(duration="60s"), **client(duration="60s")),
                {"authority": GIVEN["authority"] | {"propagation": "9000h"}},
            ),
            (
                propagation("157h"),
                propagation("59m1s", role, "4h", **certificates(duration="60s")),
                propagation("10m1s", role, "80m", **certificates(duration="10m"), **client()),
                propagation("10s", role, "59m59s", **certificates(duration="60s"), **client()),
                propagation("10s", role, "59m59s", **certificates(duration="60s"), **ELSEWHERE),
                propagation("10s", role, "6m", **certificates(duration="60s"), **client(duration="61s")),
                propagation("31s", role, "6m", **certificates(duration="60s"), **client(duration="60s")),
            ),
        )
        for role, (_, chosen) in AUTHORITIES.items()
    ),
]
