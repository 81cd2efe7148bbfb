"""What somebody may write into the Secrets of one namespace, and what that must not do to a service."""

import base64
import copy
from datetime import datetime, timedelta

import pytest

from mtls_operator.api import names
from mtls_operator.api.types import MTLSClient
from mtls_operator.desired.metadata import held
from mtls_operator.pki.authority import issue_authority
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.entropy import SYSTEM_ENTROPY
from mtls_operator.pki.keys import DEFAULT_KEY
from mtls_operator.pki.leaf import client_profile, issue_leaf
from mtls_operator.reconcile.ports import MTLSSERVICE, SECRET, Object, Ref, Resource, ref_of
from mtls_operator.reconcile.reconciler import MOST_ROUNDS

from .api import ORDERS, Operator
from .test_callers import WEB_SECRET, consenting, operator_with, policy
from .universe import START, client_object


def annotate(operator: Operator, ref: Ref, annotations: dict[str, str]) -> None:
    """Let somebody annotate a Secret that is there."""
    stored = copy.deepcopy(operator.api.objects[ref])
    stored["metadata"]["annotations"] |= annotations
    operator.watch(SECRET, stored)


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T12:00:00", "yesterday"],
)
async def test_no_moment_of_trust_stops_the_service(moment: str) -> None:
    operator = operator_with(client_object())
    await operator.reconcile()
    annotate(operator, WEB_SECRET, {names.ANNOTATION_TRUST_SINCE: moment})
    operator.now += timedelta(hours=14)
    writes = await operator.reconcile()
    assert "replace Secret shop/orders-server" in writes
    annotations = operator.api.objects[WEB_SECRET]["metadata"]["annotations"]
    assert datetime.fromisoformat(annotations[names.ANNOTATION_TRUST_SINCE]) <= operator.now


def forged_leaf(uri: str) -> bytes:
    """A certificate that says what ours do, of somebody else's authority."""
    authority = issue_authority("client", "evil/evil", timedelta(days=30), START, SYSTEM_ENTROPY)
    profile = client_profile("spy", uri, DEFAULT_KEY)
    return encode_bundle(
        [issue_leaf(authority, profile, timedelta(days=1), START, SYSTEM_ENTROPY).certificate]
    )


def secret_of(client: Object, certificate: bytes) -> Object:
    """A Secret that looks as if the operator had made it for this MTLSClient."""
    metadata = held(MTLSClient.model_validate(client))
    data = {"tls.crt": base64.b64encode(certificate).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": metadata,
        "data": data,
    }


async def test_a_stranger_enters_nothing_into_the_ledger() -> None:
    spy = client_object("spy", "evil")
    operator = operator_with(spy)
    await operator.reconcile()
    before = policy(operator)
    operator.watch(SECRET, secret_of(spy, forged_leaf("spiffe://cluster.local/ns/evil/mtlsclient/spy")))
    assert await operator.reconcile() == ["delete Secret evil/spy-tls"]
    assert policy(operator) == before


async def test_a_certificate_of_one_client_is_no_reason_to_revoke_another() -> None:
    first, second = client_object("a-first"), client_object("second")
    operator = operator_with(first, second, service=consenting([{"namespace": "front", "maxClients": 1}]))
    await operator.reconcile()
    before = policy(operator)
    stored = operator.api.objects[Ref(SECRET, "front", "a-first-tls")]
    operator.watch(SECRET, secret_of(second, base64.b64decode(stored["data"]["tls.crt"])))
    assert await operator.reconcile() == ["delete Secret front/second-tls"]
    assert policy(operator) == before


async def test_a_secret_that_is_altered_after_each_write_keeps_no_news_from_the_service() -> None:
    operator = operator_with(client_object())
    await operator.reconcile()
    replace = operator.api.replace

    async def replaced_and_altered(resource: Resource, body: Object) -> Object:
        stored = await replace(resource, body)
        if ref_of(resource, body) == WEB_SECRET:
            annotate(operator, WEB_SECRET, {names.ANNOTATION_SERIAL: "forged"})
        return stored

    operator.api.replace = replaced_and_altered  # type: ignore[method-assign]
    annotate(operator, WEB_SECRET, {names.ANNOTATION_SERIAL: "forged"})
    service = operator.api.objects[Ref(MTLSSERVICE, *ORDERS)]
    operator.watch(MTLSSERVICE, service | {"metadata": service["metadata"] | {"generation": 2}})
    operator.now += timedelta(seconds=2)
    writes = await operator.reconcile()
    assert writes.count("replace Secret front/web-tls") == MOST_ROUNDS
    assert operator.status["observedGeneration"] == 2
    assert operator.deadlines.next() == operator.now + timedelta(seconds=1)
