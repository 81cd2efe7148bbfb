from datetime import timedelta
from typing import Any

import pytest

from mtls_operator.api import defaults
from mtls_operator.api.types import AuthoritySource, Certificates, MTLSClientSpec, PrivateKey
from tests.unit.api.builders import service

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ELSEWHERE = {"clientNamespaces": [{"namespace": "web"}]}
SHORT_LIVED = {"mtls-operator.io/allow-short-lived": "true"}


def test_a_certificate_holds_for_a_day_and_is_renewed_at_its_half() -> None:
    nothing = Certificates()
    assert defaults.certificate_duration(nothing) == 24 * HOUR
    assert defaults.renew_before(nothing, 24 * HOUR) == 12 * HOUR


@pytest.mark.parametrize(
    ("duration", "renew_before"),
    [
        (timedelta(seconds=60), timedelta(seconds=30)),
        (HOUR, 30 * MINUTE),
        (24 * HOUR, 12 * HOUR),
        (24 * HOUR + timedelta(seconds=3), 8 * HOUR + timedelta(seconds=1)),
        (90 * HOUR, 30 * HOUR),
    ],
)
def test_renewal_is_at_half_up_to_a_day_and_a_third_before_the_end_beyond(
    duration: timedelta, renew_before: timedelta
) -> None:
    assert defaults.renew_before(Certificates(), duration) == renew_before


@pytest.mark.parametrize(
    ("duration", "renew_before"),
    [
        (24 * HOUR, 20 * HOUR),
        (20 * HOUR + timedelta(seconds=30), 20 * HOUR),
        (20 * HOUR + timedelta(seconds=29), 10 * HOUR + timedelta(seconds=14.5)),
        (HOUR, 30 * MINUTE),
    ],
)
def test_chosen_renewal_holds_for_certificates_that_outlast_it(
    duration: timedelta, renew_before: timedelta
) -> None:
    assert defaults.renew_before(Certificates(renew_before="20h"), duration) == renew_before


@pytest.mark.parametrize(
    ("server", "own", "annotations", "effective"),
    [
        (None, None, {}, 24 * HOUR),
        ("1h", None, {}, HOUR),
        ("1h", "2h", {}, 2 * HOUR),
        ("60s", None, {}, 10 * MINUTE),
        ("1h", "5m", {}, 10 * MINUTE),
        ("60s", None, SHORT_LIVED, MINUTE),
        ("1h", "5m", SHORT_LIVED, 5 * MINUTE),
        ("1h", "5m", {"mtls-operator.io/allow-short-lived": "yes"}, 10 * MINUTE),
    ],
)
def test_a_client_has_its_own_duration_or_the_servers_but_at_least_ten_minutes(
    server: str | None, own: str | None, annotations: dict[str, str], effective: timedelta
) -> None:
    spec = {"certificates": {"duration": server}, "clients": [{"name": "billing", "duration": own}]}
    with_client = service(spec, annotations)
    assert defaults.client_duration(with_client, with_client.spec.clients[0]) == effective


def test_an_authority_holds_for_thirty_days() -> None:
    assert defaults.authority_duration(AuthoritySource()) == 720 * HOUR
    chosen = AuthoritySource.model_validate({"generated": {"duration": "80m"}})
    assert defaults.authority_duration(chosen) == 80 * MINUTE


@pytest.mark.parametrize(
    ("spec", "effective"),
    [
        ({}, 24 * HOUR),
        ({"certificates": {"duration": "60s"}}, 10 * MINUTE),
        ({"clients": [{"name": "a", "duration": "1h"}, {"name": "b", "duration": "2h"}]}, 2 * HOUR),
        (
            {"clients": [{"name": "a", "duration": "1h"}], "clientNamespaces": [{"namespace": "web"}]},
            24 * HOUR,
        ),
        ({"authority": {"propagation": "5m"}}, 5 * MINUTE),
        ({"authority": {"server": {"generated": {"duration": "8h"}}}}, 2 * HOUR),
        ({"authority": {"propagation": "5m", "client": {"generated": {"duration": "8m"}}}}, 2 * MINUTE),
        ({"authority": {role: {"secretRef": {"name": "ca"}} for role in ("server", "client")}}, 24 * HOUR),
    ],
)
def test_callers_get_a_clients_longest_duration_to_pick_up_new_trust_but_a_quarter_of_the_authoritys_life(
    spec: dict[str, Any], effective: timedelta
) -> None:
    assert defaults.propagation(service(spec)) == effective


@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        (PrivateKey(), ("ECDSA", 256)),
        (PrivateKey(size=384), ("ECDSA", 384)),
        (PrivateKey(algorithm="RSA"), ("RSA", 2048)),
        (PrivateKey(algorithm="RSA", size=4096), ("RSA", 4096)),
        (PrivateKey(algorithm="Ed25519"), ("Ed25519", 256)),
    ],
)
def test_key_is_on_p256_unless_chosen(key: PrivateKey, chosen: tuple[str, int]) -> None:
    assert defaults.key_profile(Certificates(private_key=key)) == chosen


def test_spiffe_ids_are_of_cluster_local_unless_chosen() -> None:
    assert defaults.trust_domain(Certificates()) == "cluster.local"
    assert defaults.trust_domain(Certificates(trust_domain="shop.example")) == "shop.example"


@pytest.mark.parametrize(
    ("chosen", "clients", "effective"),
    [
        (None, [], 24 * HOUR),
        ("1h", [], HOUR),
        ("1m", [], 10 * MINUTE),
        ("8760h", [], 24 * HOUR),
        ("8760h", [{"name": "billing", "duration": "48h"}], 48 * HOUR),
        ("8760h", [{"name": "billing", "duration": "1h"}], 24 * HOUR),
    ],
)
def test_an_mtlsclient_can_not_make_authorities_last_longer_than_their_service_does(
    chosen: str | None, clients: list[dict[str, str]], effective: timedelta
) -> None:
    orders = service({"clients": clients, **ELSEWHERE})
    caller = MTLSClientSpec.model_validate(
        {"serviceRef": {"namespace": "shop", "name": "orders"}, "secretName": "tls", "duration": chosen}
    )
    assert defaults.client_duration(orders, caller) == effective
