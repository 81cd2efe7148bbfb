"""How an authority gives way to the next: prepared, trusted, signing, retired."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from mtls_operator.api import names
from mtls_operator.reconcile.ports import SECRET, Ref

from .universe import SETTINGS, Universe

AUTHORITY = "authority-uid-1"
AUTHORITY_REF = Ref(SECRET, SETTINGS.namespace, AUTHORITY)
SERVER, BILLING = "orders-server", "orders-client-billing"
ROTATE = names.ANNOTATION_ROTATE_AUTHORITY
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def served(settled: Universe) -> Universe:
    """A service with one pod that serves what was delivered."""
    settled.service["spec"]["replicas"] = 1
    settled.settle()
    settled.add_pod("a")
    settled.acknowledge("a")
    settled.writes.clear()
    return settled


def ask(universe: Universe, **annotations: str) -> None:
    universe.service["metadata"]["annotations"] = {
        names.ANNOTATION_ROTATE_AUTHORITY if key == "rotate" else names.ANNOTATION_REISSUE: value
        for key, value in annotations.items()
    }


def certificates(universe: Universe, secret: str, file: str = "ca.crt") -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(universe.file(secret, file))


def signing(universe: Universe, role: str) -> x509.Certificate:
    return certificates(universe, AUTHORITY, f"{role}.crt")[0]


def prepared(universe: Universe, role: str) -> bool:
    return f"{role}-next.crt" in universe.secret(AUTHORITY)["data"]


def state(universe: Universe) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(universe.file(AUTHORITY, "state.json"))
    return decoded


def rotating(universe: Universe) -> tuple[str, str, str]:
    conditions = {each["type"]: each for each in universe.service["status"]["conditions"]}
    condition = conditions["AuthorityRotating"]
    return condition["status"], condition["reason"], condition["message"]


def reasons(universe: Universe) -> list[str]:
    return [notice.reason for notice in universe.notices]


def test_a_settled_service_is_idle(settled: Universe) -> None:
    assert rotating(settled)[:2] == ("False", "Idle")


def test_a_request_prepares_both_authorities_by_one_write_and_delivers_their_trust(served: Universe) -> None:
    old = signing(served, "client"), signing(served, "server")
    ask(served, rotate="2026")
    assert served.settle() == [
        f"Replace Secret {AUTHORITY}",
        f"Replace Secret {SERVER}",
        f"Replace Secret {BILLING}",
    ]
    assert (signing(served, "client"), signing(served, "server")) == old
    assert len(certificates(served, SERVER)) == len(certificates(served, BILLING)) == 2
    assert reasons(served) == ["AuthorityPrepared"]
    assert served.settle() == []


def test_no_leaf_is_issued_anew_while_the_next_authority_is_prepared(served: Universe) -> None:
    leaves = served.file(SERVER, "tls.crt"), served.file(BILLING, "tls.crt")
    ask(served, rotate="2026")
    served.settle()
    assert (served.file(SERVER, "tls.crt"), served.file(BILLING, "tls.crt")) == leaves


def test_the_client_authority_waits_for_every_pod_and_says_for_which(served: Universe) -> None:
    served.add_pod("b")
    served.acknowledge("b")
    ask(served, rotate="2026")
    served.settle()
    served.acknowledge("b")
    served.answer("a", "stale", frozenset({"other"}), generation=41)
    served.settle()
    assert prepared(served, "client")
    status, phase, message = rotating(served)
    assert (status, phase) == ("True", "Prepared")
    assert "1/2 pods; a still serves generation 41" in message


def test_the_client_authority_signs_once_every_pod_trusts_it(served: Universe) -> None:
    old_key = served.file(AUTHORITY, "client.key")
    ask(served, rotate="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    assert not prepared(served, "client")
    assert prepared(served, "server")
    assert base64.b64encode(old_key).decode() not in served.secret(AUTHORITY)["data"].values()
    assert reasons(served) == ["AuthorityPrepared", "AuthoritySigning"]


def test_the_former_authority_is_trusted_until_its_longest_leaf_has_ended(served: Universe) -> None:
    old = signing(served, "client")
    ask(served, rotate="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    [retiring] = state(served)["client"]["retiring"]
    assert datetime.fromisoformat(retiring["until"]) == served.now + DAY + 5 * MINUTE
    assert old in certificates(served, SERVER)
    served.after(hours=24, minutes=4).settle()
    assert old in certificates(served, SERVER)
    served.after(minutes=2).settle()
    assert old not in certificates(served, SERVER)
    assert "AuthorityRetired" in reasons(served)


def test_the_server_authority_waits_for_callers_to_pick_up_its_trust(served: Universe) -> None:
    ask(served, rotate="2026")
    served.settle()
    served.after(hours=23, minutes=59).settle()
    assert prepared(served, "server")
    served.after(minutes=2).settle()
    assert not prepared(served, "server")


def test_a_caller_that_got_its_secret_late_delays_the_server_authority(served: Universe) -> None:
    ask(served, rotate="2026")
    served.settle()
    served.service["spec"]["clients"].append({"name": "audit"})
    served.after(hours=12).settle()
    served.after(hours=12, minutes=1).settle()
    assert prepared(served, "server")
    served.after(hours=12).settle()
    assert not prepared(served, "server")


def test_without_callers_the_server_authority_waits_since_it_was_prepared(served: Universe) -> None:
    served.service["spec"]["clients"] = []
    served.settle()
    ask(served, rotate="2026")
    served.settle()
    assert prepared(served, "server")
    served.after(hours=24).settle()
    assert not prepared(served, "server")
