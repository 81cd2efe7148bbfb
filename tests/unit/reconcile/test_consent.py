"""Consent, quotas and names: which MTLSClients a service admits, and what it takes back from the others."""

from dataclasses import replace
from typing import Any

import pytest

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSClient, MTLSService
from mtls_operator.desired.metadata import held, owned
from mtls_operator.reconcile.decide.consent import (
    MOST_CALLERS,
    absent,
    admit,
    client_ref,
    withdraw,
)
from mtls_operator.reconcile.decide.hearsay import unconfirmed
from mtls_operator.reconcile.ownership import Ownership, ownership
from mtls_operator.reconcile.plan import RETRY_REFUSED, Problem
from mtls_operator.reconcile.ports import MTLSCLIENT, MTLSSERVICE, SECRET, Key, Object, Ref, ref_of
from mtls_operator.reconcile.world import Refused, World

from .universe import SETTINGS, START, client_object, service_object

SERVICE = Ref(MTLSSERVICE, "shop", "orders")
WEB = Ref(MTLSCLIENT, "front", "web")


def consent(namespace: str = "front", **more: Any) -> dict[str, Any]:
    return {"namespace": namespace, **more}


def client(name: str = "web", namespace: str = "front", **more: Any) -> MTLSClient:
    return MTLSClient.model_validate(client_object(name, namespace, **more))


def secret(owner: MTLSClient, **metadata: Any) -> Object:
    """The Secret that an MTLSClient owns."""
    return {"metadata": {**held(owner), "uid": "uid-secret", "resourceVersion": "7", **metadata}}


def world(
    *callers: MTLSClient,
    consents: list[dict[str, Any]] | None = None,
    secrets: tuple[Object, ...] = (),
    clients: int = 1,
    **more: Any,
) -> World:
    consents = [consent()] if consents is None else consents
    named = [{"name": f"client-{number}"} for number in range(clients)]
    service = MTLSService.model_validate(service_object({"clients": named, "clientNamespaces": consents}))
    known = {ref_of(SECRET, item): item for item in secrets}
    seen = replace(World(service, SETTINGS, START, None, known, callers=callers), **more)
    return replace(seen, admission=admit(seen))


def reasons(seen: World) -> dict[str, str]:
    """Name of each MTLSClient that has a problem, and its reason."""
    return {ref.name: problem.reason for ref, problem in seen.admission.problems.items()}


def admitted(seen: World) -> list[str]:
    return [each.client.metadata.name for each in seen.admission.admitted]


def deletions(seen: World) -> list[str]:
    return [f"{write.ref.namespace}/{write.ref.name}" for write in withdraw(seen).writes]  # type: ignore[union-attr]


def test_a_client_of_a_namespace_that_the_service_consents_to_is_admitted() -> None:
    seen = world(client())
    assert admitted(seen) == ["web"]
    assert not seen.admission.problems


@pytest.mark.parametrize("namespace", ["elsewhere", "fron", "front-2", "shop"])
def test_a_client_of_any_other_namespace_is_not_permitted_nor_of_the_services_own(namespace: str) -> None:
    seen = world(client(namespace=namespace))
    assert admitted(seen) == []
    assert reasons(seen) == {"web": "NotPermitted"}


def test_a_service_that_is_not_there_and_one_that_does_not_consent_say_the_same() -> None:
    without = world(client(), consents=[]).admission
    missing = world(client(), service=absent(Key("shop", "orders"))).admission
    assert without.problems == missing.problems


def test_nobody_in_the_operators_own_namespace_is_admitted() -> None:
    seen = world(client(namespace="mtls-system"), consents=[consent("mtls-system")])
    assert reasons(seen) == {"web": "NotPermitted"}


def test_a_client_that_is_being_deleted_is_admitted_no_more_and_told_nothing() -> None:
    seen = world(client(deletionTimestamp="2026-01-01T12:00:00Z"))
    assert admitted(seen) == []
    assert reasons(seen) == {}


def test_beyond_the_quota_of_a_namespace_the_surplus_alone_is_refused() -> None:
    seen = world(
        *(client(name) for name in ("a", "b", "c")),
        client("d", "back"),
        consents=[consent(maxClients=2), consent("back")],
    )
    assert admitted(seen) == ["a", "b", "d"]
    assert reasons(seen) == {"c": "QuotaExceeded"}
    assert seen.admission.total == 4


def test_a_namespace_that_says_nothing_has_50_places() -> None:
    seen = world(*(client(f"c{number:02}") for number in range(52)))
    assert len(admitted(seen)) == 50
    assert list(reasons(seen)) == ["c50", "c51"]


def test_a_service_has_at_most_1000_callers_and_those_of_its_spec_come_first() -> None:
    consents = [consent(maxClients=1000)]
    seen = world(client("a"), client("b"), client("c"), consents=consents, clients=MOST_CALLERS - 2)
    assert admitted(seen) == ["a", "b"]
    assert reasons(seen) == {"c": "QuotaExceeded"}


def test_of_two_that_want_one_secret_the_older_gets_it() -> None:
    seen = world(client("a", into="tls"), client("b", into="tls"))
    assert admitted(seen) == ["a", "b"]
    assert reasons(seen) == {"b": "NameTaken"}


def test_who_has_a_secret_keeps_it_although_an_older_one_names_it_now() -> None:
    older, younger = client("a", into="tls"), client("b", into="tls")
    assert reasons(world(older, younger, secrets=(secret(younger),))) == {"a": "NameTaken"}


@pytest.mark.parametrize("name", ["orders-server", "orders-client-client-0"])
def test_a_name_that_the_service_needs_itself_is_taken_even_before_it_is_there(name: str) -> None:
    seen = world(client(namespace="shop", into=name), consents=[consent("shop")])
    assert reasons(seen) == {"web": "NameTaken"}


def test_the_same_name_in_another_namespace_is_free() -> None:
    assert not reasons(world(client(into="orders-server")))


class TestWithdrawal:
    def test_the_secret_of_a_client_goes_with_consent(self) -> None:
        seen = world(client(), consents=[], secrets=(secret(client()),))
        assert deletions(seen) == ["front/web-tls"]

    def test_before_that_service_and_client_are_read_live(self) -> None:
        hearsay = world(client(), consents=[], secrets=(secret(client()),))
        assert unconfirmed(hearsay) == {SERVICE, WEB}
        known = world(client(), consents=[], secrets=(secret(client()),), live=frozenset({SERVICE, WEB}))
        assert unconfirmed(known) == set()

    def test_of_a_surplus_client_the_older_ones_are_read_live_as_well(self) -> None:
        late = client("late")
        seen = world(client(), late, consents=[consent(maxClients=1)], secrets=(secret(late),))
        assert deletions(seen) == ["front/late-tls"]
        assert unconfirmed(seen) == {SERVICE, WEB, client_ref(late)}

    def test_nothing_is_asked_when_nothing_is_taken(self) -> None:
        assert unconfirmed(world(client(), client("b", "elsewhere"), secrets=(secret(client()),))) == set()

    def test_a_client_that_wants_another_name_keeps_the_old_secret_until_the_new_is_there(self) -> None:
        renamed, old = client(into="new"), secret(client(into="old"))
        assert deletions(world(renamed, secrets=(old,))) == []
        assert deletions(world(renamed, secrets=(old, secret(renamed)))) == ["front/old"]

    def test_a_secret_that_is_going_is_not_deleted_again(self) -> None:
        """Somebody's finalizer holds it: to delete it over and over would never end."""
        going = secret(client(), deletionTimestamp="2026-01-01T12:00:00Z")
        assert deletions(world(client(), consents=[], secrets=(going,))) == []

    def test_a_deletion_that_was_refused_is_tried_again_later(self) -> None:
        refused = {Ref(SECRET, "front", "web-tls"): Refused(START, Problem("WriteRefused", "denied"))}
        seen = world(client(), consents=[], secrets=(secret(client()),), refused=refused)
        assert withdraw(seen).writes == ()
        assert withdraw(seen).wake == START + RETRY_REFUSED

    def test_an_installation_that_does_not_see_the_service_takes_nothing(self) -> None:
        settings = Settings("mtls-system", "image", watched_namespaces=("front",))
        seen = world(client(), consents=[], secrets=(secret(client()),), settings=settings)
        assert deletions(seen) == []
        assert unconfirmed(seen) == set()
        assert reasons(seen) == {"web": "NotPermitted"}


class TestForgery:
    """A Secret counts for an MTLSClient by its controller alone, and in the client's own namespace."""

    @pytest.mark.parametrize(
        "forged",
        [
            {"namespace": "victim"},
            {"ownerReferences": []},
            {"ownerReferences": [], "labels": {**held(client())["labels"], names.LABEL_SERVICE_UID: "uid-1"}},
            {"ownerReferences": [], "annotations": {names.ANNOTATION_OWNER: "front/web"}},
            {"ownerReferences": [{**held(client())["ownerReferences"][0], "controller": False}]},
            {"ownerReferences": [{**held(client())["ownerReferences"][0], "uid": "uid-of-another"}]},
            {"ownerReferences": [{**held(client())["ownerReferences"][0], "kind": "Deployment"}]},
            {"ownerReferences": [{**held(client())["ownerReferences"][0], "apiVersion": "evil.io/v1"}]},
        ],
    )
    def test_a_secret_that_is_not_the_clients_is_never_deleted_for_it(self, forged: dict[str, Any]) -> None:
        seen = world(client(), consents=[], secrets=(secret(client(), **forged),))
        assert deletions(seen) == []

    def test_a_secret_that_the_client_claims_but_we_did_not_make_stays(self) -> None:
        theirs = secret(client(), labels={names.LABEL_USE: names.USE_OWNED})
        assert deletions(world(client(), consents=[], secrets=(theirs,))) == []

    def test_the_secret_of_a_client_is_not_a_services_though_it_is_labelled_so(self) -> None:
        site = MTLSService.model_validate(service_object(namespace="front", name="site", uid="uid-2"))
        labels = owned(site, "site-server", "server")["labels"]
        assert ownership(secret(client(into="site-server"), labels=labels), site) is Ownership.FOREIGN

    def test_the_secret_of_a_service_is_not_a_clients_though_it_has_the_name(self) -> None:
        service = MTLSService.model_validate(service_object(namespace="front", name="site", uid="uid-2"))
        metadata = {**owned(service, "site-server", "server"), "uid": "uid-3", "resourceVersion": "7"}
        seen = world(client(into="site-server"), consents=[], secrets=({"metadata": metadata},))
        assert deletions(seen) == []
