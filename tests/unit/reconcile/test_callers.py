"""MTLSClients, from consent to withdrawal: what a pass over the service writes for them, and what never."""

import base64
import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService
from mtls_operator.pki.authority import issue_authority
from mtls_operator.pki.entropy import SYSTEM_ENTROPY
from mtls_operator.reconcile.decide.gates import gate
from mtls_operator.reconcile.decide.recovery import read_keyring
from mtls_operator.reconcile.observe import observe
from mtls_operator.reconcile.plan import Problem
from mtls_operator.reconcile.ports import (
    DEPLOYMENT,
    MTLSCLIENT,
    MTLSSERVICE,
    SECRET,
    Object,
    Ref,
    RefusedError,
    UnavailableError,
)
from mtls_operator.reconcile.world import Refused
from mtls_server.contract import Client, Policy, decode_policy

from .api import ORDERS, Operator
from .universe import SETTINGS, client_object, service_object

WEB = Ref(MTLSCLIENT, "front", "web")
WEB_SECRET = Ref(SECRET, "front", "web-tls")
WEB_URI = "spiffe://cluster.local/ns/front/mtlsclient/web"
CONSENT = [{"namespace": "front", "roles": ["reader"], "tenant": "acme"}]


def consenting(consents: list[dict[str, Any]] | None = None, **metadata: Any) -> Object:
    spec = {
        "clients": [{"name": "billing"}],
        "clientNamespaces": CONSENT if consents is None else consents,
    }
    return service_object(spec, **metadata)


def operator_with(*clients: Object, service: Object | None = None, settings: Settings = SETTINGS) -> Operator:
    operator = Operator(service or consenting(), settings)
    for client in clients:
        operator.watch(MTLSCLIENT, client)
    return operator


def change(operator: Operator, consents: list[dict[str, Any]]) -> None:
    """Let somebody edit the service's consent."""
    stored = operator.api.objects[Ref(MTLSSERVICE, *ORDERS)]
    operator.watch(MTLSSERVICE, stored | {"spec": {**stored["spec"], "clientNamespaces": consents}})


def delete(operator: Operator, ref: Ref, *, seen: bool = True) -> None:
    """Let somebody delete an object, and the watch see it."""
    stored = operator.api.objects.pop(ref)
    if seen:
        operator.store.remove(ref.resource, stored)


def ready(operator: Operator, ref: Ref = WEB) -> tuple[str, str]:
    [condition] = operator.api.objects[ref]["status"]["conditions"]
    return condition["status"], condition["reason"]


def policy(operator: Operator) -> Policy:
    data = operator.api.objects[Ref(SECRET, "shop", "orders-server")]["data"]
    return decode_policy(base64.b64decode(data["policy.json"]))


def leaf(operator: Operator, ref: Ref = WEB_SECRET) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(operator.api.objects[ref]["data"]["tls.crt"]))


async def test_an_mtlsclient_gets_a_secret_of_its_own_in_its_namespace() -> None:
    operator = operator_with(client_object())
    await operator.reconcile()
    secret = operator.api.objects[WEB_SECRET]
    [owner] = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("MTLSClient", "uid-front-web", True)
    assert secret["type"] == "kubernetes.io/tls"
    assert secret["data"].keys() == {"tls.crt", "tls.key", "ca.crt"}
    callers = operator.api.objects[Ref(SECRET, "shop", "orders-client-billing")]["data"]
    assert secret["data"]["ca.crt"] == callers["ca.crt"]


async def test_it_is_known_by_its_namespace_and_name_and_told_apart_from_clients_of_the_spec() -> None:
    operator = operator_with(client_object("billing"))
    await operator.reconcile()
    certificate = leaf(operator, Ref(SECRET, "front", "billing-tls"))
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uri = "spiffe://cluster.local/ns/front/mtlsclient/billing"
    assert alternatives.get_values_for_type(x509.UniformResourceIdentifier) == [uri]
    assert certificate.subject.rfc4514_string() == "CN=billing"
    assert policy(operator).clients == {
        uri: Client("front/billing", ("reader",), "acme"),
        "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing": Client("billing"),
    }


async def test_both_statuses_tell_of_it_and_a_second_pass_writes_nothing() -> None:
    operator = operator_with(client_object())
    await operator.reconcile()
    status = operator.api.objects[WEB]["status"]
    assert ready(operator) == ("True", "Issued")
    assert status["observedGeneration"] == 1
    assert status["secretName"] == "web-tls"
    assert status["serial"] == f"{leaf(operator).serial_number:x}"
    assert {"notBefore", "notAfter", "renewalTime", "lastReason"} <= status.keys()
    assert (operator.status["clientsTotal"], operator.status["clientsReady"]) == (2, 2)
    assert await operator.reconcile() == []
    operator.now += timedelta(seconds=5)
    assert await operator.reconcile() == []


async def test_its_certificate_holds_as_long_as_it_asks_but_at_least_ten_minutes() -> None:
    client = client_object()
    client["spec"]["duration"] = "2m"
    operator = operator_with(client)
    await operator.reconcile()
    lifetime = leaf(operator).not_valid_after_utc - operator.now
    assert lifetime == timedelta(minutes=10)


async def test_it_is_renewed_by_one_write_and_the_other_secrets_are_left_alone() -> None:
    client = client_object()
    client["spec"]["duration"] = "1h"
    operator = operator_with(client)
    await operator.reconcile()
    operator.now += timedelta(minutes=40)
    writes = await operator.reconcile()
    assert "replace Secret front/web-tls" in writes
    assert not [write for write in writes if "orders-client-billing" in write]


async def test_of_very_many_each_is_told_once_when_it_has_its_certificate() -> None:
    clients = [client_object(f"c{number}") for number in range(130)]
    operator = operator_with(*clients, service=consenting([{"namespace": "front", "maxClients": 200}]))
    for _ in range(3):
        await operator.reconcile()
        operator.now += timedelta(seconds=5)
    assert operator.status["clientsReady"] == 131
    told = [write for write in operator.api.writes if write.startswith("status MTLSClient")]
    assert sorted(told) == sorted(f"status MTLSClient front/c{number}" for number in range(130))


class TestWithoutConsent:
    async def test_a_missing_service_and_missing_consent_look_the_same(self) -> None:
        refused = operator_with(client_object(), service=consenting([]))
        await refused.reconcile()
        missing = operator_with(client_object())
        delete(missing, Ref(MTLSSERVICE, *ORDERS))
        await missing.reconcile()
        assert ready(refused) == ("False", "NotPermitted")
        assert refused.api.objects[WEB]["status"] == missing.api.objects[WEB]["status"]
        assert refused.events[-1] == missing.events[-1] == "NotPermitted"

    async def test_nothing_is_issued(self) -> None:
        operator = operator_with(client_object(), service=consenting([]))
        await operator.reconcile()
        assert WEB_SECRET not in operator.api.objects
        assert WEB_URI not in policy(operator).clients
        assert operator.condition("Ready")["reason"] != "NotPermitted"

    async def test_the_namespace_of_the_service_needs_consent_as_well(self) -> None:
        operator = operator_with(client_object(namespace="shop"))
        await operator.reconcile()
        assert ready(operator, Ref(MTLSCLIENT, "shop", "web")) == ("False", "NotPermitted")
        assert Ref(SECRET, "shop", "web-tls") not in operator.api.objects

    async def test_a_pass_over_a_missing_service_writes_nothing_twice(self) -> None:
        operator = operator_with(client_object())
        delete(operator, Ref(MTLSSERVICE, *ORDERS))
        assert await operator.reconcile() == ["status MTLSClient front/web"]
        assert await operator.reconcile() == []

    async def test_it_is_served_as_soon_as_the_service_consents(self) -> None:
        operator = operator_with(client_object(), service=consenting([]))
        await operator.reconcile()
        operator.now += timedelta(seconds=5)
        change(operator, CONSENT)
        await operator.reconcile()
        assert ready(operator) == ("True", "Issued")


class TestWithdrawal:
    async def test_without_consent_identity_and_secret_go_and_the_ledger_remembers(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        operator.now += timedelta(minutes=5)
        change(operator, [])
        writes = await operator.reconcile()
        assert "delete Secret front/web-tls" in writes
        assert WEB_URI not in policy(operator).clients
        assert policy(operator).revoked[WEB_URI] > operator.now
        assert ready(operator) == ("False", "NotPermitted")
        assert "serial" not in operator.api.objects[WEB]["status"]
        operator.now += timedelta(seconds=5)
        await operator.reconcile()
        assert await operator.reconcile() == []

    async def test_the_ledger_is_written_before_anything_is_taken(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        change(operator, [])
        writes = await operator.reconcile()
        assert writes[0] == "replace Secret mtls-system/authority-uid-1"

    async def test_the_ledger_knows_although_the_servers_secret_is_lost(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        delete(operator, Ref(SECRET, "shop", "orders-server"))
        change(operator, [])
        await operator.reconcile()
        assert WEB_URI in policy(operator).revoked
        assert WEB_SECRET not in operator.api.objects

    async def test_its_status_is_written_once_a_second_at_most(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        change(operator, [])
        assert "status MTLSClient front/web" not in await operator.reconcile()
        due = operator.deadlines.next()
        assert due is not None
        assert due <= operator.now + timedelta(seconds=1)
        operator.now = due
        assert "status MTLSClient front/web" in await operator.reconcile()

    async def test_a_deleted_mtlsclient_is_revoked(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        delete(operator, WEB)
        await operator.reconcile()
        assert WEB_URI in policy(operator).revoked
        assert WEB_URI not in policy(operator).clients

    async def test_a_client_made_anew_between_two_passes_leaves_the_former_certificates_refused(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        former = leaf(operator)
        delete(operator, WEB, seen=False)
        delete(operator, WEB_SECRET)
        operator.now += timedelta(minutes=5)
        created = operator.now.strftime("%FT%TZ")
        operator.watch(MTLSCLIENT, client_object(uid="uid-anew", creationTimestamp=created))
        await operator.reconcile()
        assert (
            former.not_valid_before_utc
            < policy(operator).revoked[WEB_URI]
            <= leaf(operator).not_valid_before_utc
        )
        assert ready(operator) == ("True", "Issued")
        revoked = policy(operator).revoked
        operator.now += timedelta(seconds=5)
        await operator.reconcile()
        assert policy(operator).revoked == revoked

    async def test_a_watch_that_lags_behind_costs_nobody_anything(self) -> None:
        """The cache has not heard of consent that was given anew, nor of a client that is still there."""
        operator = operator_with(client_object())
        await operator.reconcile()
        service = copy.deepcopy(operator.api.objects[Ref(MTLSSERVICE, *ORDERS)])
        operator.store.drop(Ref(MTLSSERVICE, *ORDERS))
        operator.store.put(MTLSSERVICE, service | {"spec": {"clients": [{"name": "billing"}]}})
        operator.store.drop(WEB)
        before = len(operator.api.writes)
        operator.api.objects[Ref(MTLSSERVICE, *ORDERS)]["metadata"]["resourceVersion"] = "9999"
        await operator.reconcile()
        assert not [write for write in operator.api.writes[before:] if "Secret" in write]
        assert WEB_URI in policy(operator).clients

    async def test_what_can_not_be_read_live_is_not_taken(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        change(operator, [])
        operator.api.unreadable[WEB] = UnavailableError("HTTP 503")
        with pytest.raises(UnavailableError):
            await operator.reconcile()
        assert WEB_SECRET in operator.api.objects
        assert WEB_URI in policy(operator).clients
        operator.api.unreadable.clear()
        assert "delete Secret front/web-tls" in await operator.reconcile()

    async def test_the_secrets_of_callers_go_with_the_service(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        delete(operator, Ref(MTLSSERVICE, *ORDERS))
        operator.now += timedelta(seconds=5)
        assert "delete Secret front/web-tls" in await operator.reconcile()
        assert ready(operator) == ("False", "NotPermitted")

    async def test_a_service_that_is_only_out_of_sight_keeps_its_callers(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        operator.store.drop(Ref(MTLSSERVICE, *ORDERS))
        await operator.reconcile()
        assert WEB_SECRET in operator.api.objects
        assert ready(operator) == ("True", "Issued")

    async def test_the_surplus_goes_when_a_quota_shrinks(self) -> None:
        late = client_object("late", creationTimestamp="2026-01-01T11:30:00Z")
        operator = operator_with(late, client_object())
        await operator.reconcile()
        operator.now += timedelta(seconds=5)
        change(operator, [{"namespace": "front", "maxClients": 1}])
        writes = await operator.reconcile()
        assert "delete Secret front/late-tls" in writes
        assert "delete Secret front/web-tls" not in writes
        assert ready(operator, Ref(MTLSCLIENT, "front", "late")) == ("False", "QuotaExceeded")
        assert (operator.status["clientsTotal"], operator.status["clientsReady"]) == (3, 2)

    async def test_a_client_that_is_admitted_again_gets_a_certificate_that_the_ledger_lets_pass(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        operator.now += timedelta(minutes=5)
        change(operator, [])
        await operator.reconcile()
        operator.now += timedelta(seconds=5)
        change(operator, CONSENT)
        await operator.reconcile()
        assert leaf(operator).not_valid_before_utc >= policy(operator).revoked[WEB_URI]
        assert ready(operator) == ("True", "Issued")


class TestNames:
    async def test_a_secret_of_somebody_else_is_left_alone(self) -> None:
        operator = operator_with(client_object())
        theirs = {"kind": "Secret", "type": "Opaque", "metadata": {"name": "web-tls", "namespace": "front"}}
        operator.api.seed(SECRET, {**theirs, "data": {"password": "aHVudGVyMg=="}})
        await operator.reconcile()
        assert operator.api.objects[WEB_SECRET]["data"] == {"password": "aHVudGVyMg=="}
        assert ready(operator) == ("False", "NameTaken")
        assert operator.condition("Stalled")["status"] == "False"
        for _ in range(3):
            operator.now += timedelta(seconds=2)
            writes = await operator.reconcile()
        assert writes == []
        del operator.api.objects[WEB_SECRET]
        operator.now += timedelta(seconds=11)
        await operator.reconcile()
        assert ready(operator) == ("True", "Issued")

    async def test_of_two_the_older_gets_the_name(self) -> None:
        younger = client_object("app", into="web-tls", creationTimestamp="2026-01-01T11:30:00Z")
        operator = operator_with(younger, client_object())
        await operator.reconcile()
        assert ready(operator) == ("True", "Issued")
        assert ready(operator, Ref(MTLSCLIENT, "front", "app")) == ("False", "NameTaken")
        assert await operator.reconcile() == []

    async def test_the_name_of_a_secret_can_change(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        renamed = operator.api.objects[WEB]
        operator.now += timedelta(seconds=5)
        operator.watch(MTLSCLIENT, renamed | {"spec": {**renamed["spec"], "secretName": "other"}})
        writes = await operator.reconcile()
        assert writes.index("create Secret front/other") < writes.index("delete Secret front/web-tls")
        assert WEB_URI in policy(operator).clients
        assert WEB_URI not in policy(operator).revoked


class TestTenants:
    """What somebody with rights in one consented namespace can try, and what comes of it."""

    async def test_a_refused_write_is_the_clients_problem_alone(self) -> None:
        operator = operator_with(client_object())
        operator.api.refusals["Secret", "web-tls"] = RefusedError("exceeded quota")
        writes = await operator.reconcile()
        assert "apply Deployment shop/orders" in writes
        assert ready(operator) == ("False", "WriteRefused")
        assert operator.condition("Stalled")["status"] == "False"
        assert operator.condition("CertificatesIssued")["status"] == "True"
        before = operator.now
        assert await operator.reconcile() == []
        operator.api.refusals.clear()
        operator.now = before + timedelta(seconds=16)
        await operator.reconcile()
        assert ready(operator) == ("True", "Issued")

    @pytest.mark.parametrize("hold", ["refused", "disguised"])
    async def test_rotation_waits_for_no_secret_that_a_tenant_withholds(self, hold: str) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        memory, secret = operator.actor.memory(ORDERS), operator.api.objects[WEB_SECRET]
        if hold == "refused":
            memory.refused[WEB_SECRET] = Refused(operator.now, Problem("WriteRefused", "immutable"))
        else:
            operator.watch(SECRET, {**secret, "metadata": {**secret["metadata"], "ownerReferences": []}})
        service = MTLSService.model_validate(operator.api.objects[Ref(MTLSSERVICE, *ORDERS)])
        world = observe(operator.store, memory, SETTINGS, service, operator.now)
        successor = issue_authority("server", "shop/orders", timedelta(days=30), operator.now, SYSTEM_ENTROPY)
        waiting = gate(world, read_keyring(world).server, successor).lacking
        assert waiting == "1 of 1 bundles have it not yet, orders-client-billing first"

    async def test_rotation_waits_twice_the_time_for_a_secret_that_a_tenant_writes_again_and_again(
        self,
    ) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        memory, prepared_at = operator.actor.memory(ORDERS), operator.now
        service = MTLSService.model_validate(operator.api.objects[Ref(MTLSSERVICE, *ORDERS)])
        waiting = {}
        for hours in (47, 48):
            world = observe(operator.store, memory, SETTINGS, service, prepared_at + timedelta(hours=hours))
            generations = replace(read_keyring(world).server, prepared_at=prepared_at)
            successor = issue_authority(
                "server", "shop/orders", timedelta(days=30), world.now, SYSTEM_ENTROPY
            )
            waiting[hours] = gate(world, generations, successor).lacking
        assert waiting[47].startswith("2 of 2 bundles")
        assert waiting[48].startswith("1 of 1 bundles")

    async def test_strangers_that_were_answered_are_not_looked_at_again(self) -> None:
        strangers = [client_object(f"c{number}", "elsewhere") for number in range(300)]
        operator = operator_with(client_object(), *strangers)
        await operator.reconcile()
        assert len([write for write in operator.api.writes if "status MTLSClient elsewhere" in write]) == 300
        known = {client.metadata.uid: client for client in operator.actor.memory(ORDERS).clients.values()}
        assert await operator.reconcile() == []
        for client in operator.actor.memory(ORDERS).clients.values():
            assert client is known[client.metadata.uid] or client.status

    async def test_a_name_that_is_taken_does_not_stall_the_service(self) -> None:
        operator = operator_with(client_object(), client_object("app", into="web-tls", uid="uid-z"))
        await operator.reconcile()
        assert operator.condition("Stalled")["status"] == "False"
        assert operator.condition("CertificatesIssued")["message"] == "server and 2 of 3 clients"

    @pytest.mark.parametrize(
        "forged",
        [
            {"labels": {names.LABEL_USE: "owned", names.LABEL_MANAGED_BY: names.MANAGED_BY}},
            {"labels": {names.LABEL_USE: "owned", names.LABEL_SERVICE_UID: "uid-1"}},
            {"labels": {names.LABEL_USE: "owned"}, "annotations": {names.ANNOTATION_OWNER: "front/web"}},
            {
                "labels": {names.LABEL_USE: "owned", names.LABEL_MANAGED_BY: names.MANAGED_BY},
                "ownerReferences": [
                    {
                        "apiVersion": names.API_VERSION,
                        "kind": "MTLSClient",
                        "name": "web",
                        "uid": "uid-front-web",
                        "controller": True,
                    }
                ],
            },
        ],
    )
    async def test_no_forgery_in_another_namespace_gets_a_key_or_is_touched(
        self, forged: dict[str, Any]
    ) -> None:
        operator = operator_with(client_object())
        trap = Ref(SECRET, "thieves", "web-tls")
        metadata = {"name": "web-tls", "namespace": "thieves", **forged}
        operator.watch(
            SECRET, {"kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": {}}
        )
        await operator.reconcile()
        change(operator, [])
        await operator.reconcile()
        assert operator.api.objects[trap]["data"] == {}

    async def test_a_secret_made_beforehand_and_labelled_as_ours_is_not_filled(self) -> None:
        operator = operator_with(client_object())
        labels = {names.LABEL_USE: "owned", names.LABEL_MANAGED_BY: names.MANAGED_BY}
        metadata = {"name": "web-tls", "namespace": "front", "labels": labels}
        operator.watch(SECRET, {"kind": "Secret", "type": "Opaque", "metadata": metadata, "data": {}})
        await operator.reconcile()
        assert operator.api.objects[WEB_SECRET]["data"] == {}
        assert ready(operator) == ("False", "NameTaken")

    async def test_the_secrets_of_a_service_in_the_clients_namespace_are_safe(self) -> None:
        """In `front` there is another service, `site`, and the client asks for the name of its Secret."""
        operator = operator_with(client_object(into="site-server"))
        metadata = {
            "name": "site-server",
            "namespace": "front",
            "labels": {
                names.LABEL_USE: "owned",
                names.LABEL_SERVICE: "site",
                names.LABEL_SERVICE_UID: "uid-9",
            },
        }
        operator.watch(
            SECRET, {"kind": "Secret", "type": "Opaque", "metadata": metadata, "data": {"tls.key": ""}}
        )
        await operator.reconcile()
        assert operator.api.objects[Ref(SECRET, "front", "site-server")]["data"] == {"tls.key": ""}
        assert ready(operator) == ("False", "NameTaken")

    async def test_a_client_made_anew_for_another_service_is_revoked_at_the_first(self) -> None:
        operator = operator_with(client_object())
        await operator.reconcile()
        anew = client_object(uid="uid-anew")
        anew["spec"]["serviceRef"]["name"] = "payments"
        assert ORDERS in operator.store.put(MTLSCLIENT, operator.api.seed(MTLSCLIENT, anew))
        await operator.reconcile()
        assert WEB_URI in policy(operator).revoked
        assert WEB_URI not in policy(operator).clients

    async def test_nobody_in_the_operators_own_namespace_is_served(self) -> None:
        client = client_object(namespace="mtls-system", into="authority-uid-1")
        operator = operator_with(client, service=consenting([{"namespace": "mtls-system"}]))
        await operator.reconcile()
        assert ready(operator, Ref(MTLSCLIENT, "mtls-system", "web")) == ("False", "NotPermitted")
        authority = operator.api.objects[Ref(SECRET, "mtls-system", "authority-uid-1")]
        assert "ownerReferences" not in authority["metadata"]

    async def test_the_trust_domain_can_not_make_one_client_into_another(self) -> None:
        """The namespace and the name come from where the client is, whatever the service writes before."""
        service = consenting()
        service["spec"]["certificates"] = {"trustDomain": "ns.front.mtlsclient.admin"}
        operator = operator_with(client_object(), service=service)
        await operator.reconcile()
        uris = [uri for uri, client in policy(operator).clients.items() if client.name == "front/web"]
        assert uris == ["spiffe://ns.front.mtlsclient.admin/ns/front/mtlsclient/web"]


class TestNamespacedMode:
    async def test_a_service_that_is_not_watched_is_not_permitted(self) -> None:
        settings = Settings("mtls-system", "image", watched_namespaces=("front",))
        operator = operator_with(client_object(), settings=settings)
        delete(operator, Ref(MTLSSERVICE, *ORDERS))
        await operator.reconcile()
        assert ready(operator) == ("False", "NotPermitted")

    async def test_what_another_installation_answered_stays(self) -> None:
        client = client_object() | {"status": {"instance": "other/mtls-operator", "conditions": []}}
        settings = Settings("mtls-system", "image", watched_namespaces=("front",))
        operator = operator_with(client, settings=settings)
        delete(operator, Ref(MTLSSERVICE, *ORDERS))
        assert await operator.reconcile() == []


class TestFormatsAndRestart:
    """What an MTLSClient names lies in its own namespace, and concerns nobody else."""

    def client(self) -> Object:
        client = client_object()
        password = {"name": "stores", "key": "password"}
        client["spec"]["formats"] = [{"type": "PKCS12", "passwordSecretRef": password}]
        return client

    def password(self, namespace: str) -> Object:
        metadata = {"name": "stores", "namespace": namespace, "labels": {names.LABEL_USE: "password"}}
        data = {"password": base64.b64encode(b"correct horse").decode()}
        return {"kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}

    async def test_it_gets_stores_under_a_password_of_its_own_namespace(self) -> None:
        operator = operator_with(self.client())
        operator.watch(SECRET, self.password("shop"))
        await operator.reconcile()
        assert "keystore.p12" not in operator.api.objects[WEB_SECRET]["data"]
        assert ready(operator) == ("False", "PasswordMissing")
        assert operator.condition("Stalled")["status"] == "False"
        operator.now += timedelta(seconds=5)
        assert ORDERS in operator.store.put(SECRET, operator.api.seed(SECRET, self.password("front")))
        await operator.reconcile()
        assert {"keystore.p12", "truststore.p12"} <= operator.api.objects[WEB_SECRET]["data"].keys()
        assert ready(operator) == ("True", "Issued")

    async def test_it_is_told_alone_of_a_workload_that_can_not_be_restarted(self) -> None:
        client = client_object()
        client["spec"]["restart"] = [{"kind": "Deployment", "name": "web"}]
        operator = operator_with(client)
        await operator.reconcile()
        assert ready(operator) == ("True", "Issued")
        operator.now += timedelta(hours=14)
        await operator.reconcile()
        assert ready(operator) == ("False", "RestartFailed")
        assert operator.condition("Stalled")["status"] == "False"

    async def test_it_restarts_workloads_of_its_own_namespace_only(self) -> None:
        client = client_object()
        client["spec"]["restart"] = [{"kind": "Deployment", "name": "web"}]
        operator = operator_with(client)
        for namespace in ("shop", "front"):
            metadata = {"name": "web", "namespace": namespace}
            spec: Object = {"template": {"metadata": {"labels": {}}, "spec": {}}}
            operator.api.seed(DEPLOYMENT, {"kind": "Deployment", "metadata": metadata, "spec": spec})
        await operator.reconcile()
        operator.now += timedelta(hours=14)
        await operator.reconcile()
        restarted = {
            namespace: operator.api.objects[Ref(DEPLOYMENT, namespace, "web")]["spec"]["template"]["metadata"]
            for namespace in ("shop", "front")
        }
        assert names.ANNOTATION_RESTARTED_FOR in restarted["front"]["annotations"]
        assert "annotations" not in restarted["shop"]
        assert "Restarted" in operator.events
        operator.now += timedelta(seconds=5)
        await operator.reconcile()
        assert await operator.reconcile() == []
