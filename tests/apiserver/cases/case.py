"""One rule, what it lets pass and what it refuses; the nearest on either side."""

from typing import Any, NamedTuple

from mtls_operator.api.schema import Rule

Spec = dict[str, Any]

NONE: Spec = {"backend": {"none": {}}}
BILLING: Spec = {"name": "billing"}
PASSWORD: Spec = {"name": "password", "key": "password"}
SHOP: Spec = {"kind": "Deployment", "name": "shop"}


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
