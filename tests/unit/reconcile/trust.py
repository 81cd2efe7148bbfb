"""What the Secrets of a universe say of authorities, and how people ask for others."""

import json
from datetime import timedelta
from typing import Any, Final

from cryptography import x509

from mtls_operator.api import names
from mtls_operator.reconcile.ports import SECRET, Ref

from .universe import SETTINGS, Universe

AUTHORITY: Final = "authority-uid-1"
AUTHORITY_REF: Final = Ref(SECRET, SETTINGS.namespace, AUTHORITY)
SERVER: Final = "orders-server"
BILLING: Final = "orders-client-billing"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def annotate(universe: Universe, **annotations: str) -> None:
    """Set annotations of the service, such as ``rotate_authority``, in place of all former ones."""
    universe.service["metadata"]["annotations"] = {
        f"{names.GROUP}/{name.replace('_', '-')}": value for name, value in annotations.items()
    }


def certificates(universe: Universe, secret: str, file: str = "ca.crt") -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(universe.file(secret, file))


def leaf(universe: Universe, secret: str) -> x509.Certificate:
    return certificates(universe, secret, "tls.crt")[0]


def signing(universe: Universe, role: str) -> x509.Certificate:
    return certificates(universe, AUTHORITY, f"{role}.crt")[0]


def prepared(universe: Universe, role: str) -> bool:
    return f"{role}-next.crt" in universe.secret(AUTHORITY)["data"]


def state(universe: Universe) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(universe.file(AUTHORITY, "state.json"))
    return decoded


def policy(universe: Universe) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(universe.file(SERVER, "policy.json"))
    return decoded


def rotating(universe: Universe) -> tuple[str, str, str]:
    conditions = {each["type"]: each for each in universe.service["status"]["conditions"]}
    condition = conditions["AuthorityRotating"]
    return condition["status"], condition["reason"], condition["message"]


def reasons(universe: Universe) -> list[str]:
    return [notice.reason for notice in universe.notices]
