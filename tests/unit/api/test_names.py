"""Identities: what they say, and that nothing else is read out of them."""

import pytest

from mtls_operator.api import names


def test_the_identity_of_an_mtlsclient_says_where_it_is_and_what_it_is_called() -> None:
    uri = names.mtlsclient_uri("example.org", "front", "web")
    assert uri == "spiffe://example.org/ns/front/mtlsclient/web"
    assert names.mtlsclient_of(uri) == ("front", "web")


@pytest.mark.parametrize(
    "uri",
    [
        names.client_uri("cluster.local", "shop", "orders", "web"),
        "spiffe://cluster.local/ns/../mtlsclient/web",
        "spiffe://cluster.local/ns/front/mtlsclient/web/status",
        "spiffe://cluster.local/ns/front/mtlsclient/",
        "spiffe://cluster.local/ns/front/mtlsclient/Web",
        "spiffe://cluster.local/ns/front%2f..%2fshop/mtlsclient/web",
        "spiffe://evil/ns/a/x/ns/front/mtlsclient/web",
        "spiffe://cluster.local/ns/front/mtlsclient/web\n",
        f"spiffe://cluster.local/ns/{'a' * 64}/mtlsclient/web",
        "",
    ],
)
def test_any_other_identity_stands_for_no_mtlsclient(uri: str) -> None:
    assert names.mtlsclient_of(uri) is None


@pytest.mark.parametrize(
    ("uri", "is_one"),
    [
        (names.client_uri("cluster.local", "shop", "orders", "web"), True),
        (names.mtlsclient_uri("example_1.org", "front", "web"), True),
        (names.client_uri("d" * 253, "n" * 63, "s" * 52, "c" * 63), True),
        ("spiffe://cluster.local/ns/shop/sa/web", False),
        ("spiffe://cluster.local/ns/shop/mtlsservice/orders/client/" + "c" * 64, False),
        ("spiffe://" + "d" * 254 + "/ns/shop/mtlsclient/web", False),
        ("", False),
    ],
)
def test_only_what_we_issue_is_an_identity_of_ours(uri: str, *, is_one: bool) -> None:
    assert names.is_client(uri) is is_one
