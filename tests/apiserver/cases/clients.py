"""What an MTLSClient may say; each spec is written over one that says all that it must."""

from mtls_operator.api.rules import lifetimes, values
from tests.apiserver.cases.case import Case, Spec

MINIMAL: Spec = {"serviceRef": {"name": "orders", "namespace": "shop"}, "secretName": "orders-tls"}


CASES = [
    Case(
        lifetimes.SHORTEST_CERTIFICATE,
        "spec",
        ({}, {"duration": "60s"}),
        ({"duration": "59s"},),
    ),
    Case(
        values.LABEL,
        "spec.serviceRef.namespace",
        ({},),
        ({"serviceRef": {"name": "orders", "namespace": "../shop"}},),
    ),
    Case(
        values.SECRET_NAME,
        "spec.secretName",
        tuple({"secretName": name} for name in ("orders", "orders.shop.tls", "7-orders", "my-authority-1")),
        tuple({"secretName": name} for name in ("Orders", "orders/tls", "-orders", "orders.", "a..b", "a_b")),
    ),
    Case(
        values.AUTHORITY_SECRET,
        "spec.secretName",
        ({"secretName": "authority"},),
        ({"secretName": "authority-0c5ab6a5"},),
    ),
]
