from mtls_operator.desired.policy import policy
from mtls_server.contract import Client, decode_policy, encode_policy
from tests.unit.desired.builders import service


def test_clients_are_known_by_the_uri_of_their_certificates() -> None:
    orders = service(clients=[{"name": "billing", "roles": ["reader"], "tenant": "acme"}, {"name": "audit"}])

    result = policy(
        orders,
        server_names=["orders", "orders.shop"],
        sources={"own": ["ab", "cd"]},
        revoked={},
        mtlsclients={},
    )

    assert result.server_names == ("orders", "orders.shop")
    assert result.sources == {"own": ("ab", "cd")}
    assert result.clients == {
        "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing": Client(
            "billing", ("reader",), "acme"
        ),
        "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/audit": Client("audit"),
    }


def test_the_trust_domain_is_the_users() -> None:
    orders = service(certificates={"trustDomain": "example.org"}, clients=[{"name": "billing"}])

    clients = policy(orders, server_names=[], sources={}, revoked={}, mtlsclients={}).clients

    assert list(clients) == ["spiffe://example.org/ns/shop/mtlsservice/orders/client/billing"]


def test_without_clients_nobody_is_served() -> None:
    assert (
        policy(
            service(), server_names=["orders"], sources={"own": ["ab"]}, revoked={}, mtlsclients={}
        ).clients
        == {}
    )


def test_the_server_reads_what_the_operator_writes() -> None:
    written = policy(
        service(clients=[{"name": "billing"}]),
        server_names=["orders"],
        sources={"own": ["ab"]},
        revoked={},
        mtlsclients={},
    )

    assert decode_policy(encode_policy(written)) == written


def test_what_mtlsclients_are_called_and_may_do_is_told_by_the_service_that_admits_them() -> None:
    web = {"spiffe://cluster.local/ns/front/mtlsclient/web": Client("front/web", ("reader",))}

    result = policy(
        service(clients=[{"name": "web"}]),
        server_names=[],
        sources={},
        revoked={},
        mtlsclients=web,
    )

    assert [client.name for client in result.clients.values()] == ["front/web", "web"]
