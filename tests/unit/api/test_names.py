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
