from mtls_operator.api.types import Authorization
from mtls_operator.desired.authorization import routes, rules
from mtls_server.authorization.policy import Authorisation
from mtls_server.contract import Policy, Route, Rule, decode_policy, encode_policy
from tests.unit.desired.builders import service


def authorization(**given: object) -> Authorization:
    return service(authorization=given).spec.authorization


def test_without_authorization_there_are_no_rules_and_no_routes() -> None:
    absent = service().spec.authorization

    assert (rules(absent), routes(absent)) == ((), ())


def test_rules_keep_their_order_and_say_whose_authority_must_have_signed() -> None:
    written = authorization(
        rules=[
            {"spiffeId": "spiffe://cluster.local/ns/*/sa/billing", "roles": ["reader"], "tenant": "acme"},
            {"source": "partner", "uri": "https://billing.example/"},
            {"source": "partner", "dns": "billing.example"},
            {"source": "partner", "cn": "billing", "deny": True},
            {"fingerprint": "0f" * 32},
        ]
    )

    assert rules(written) == (
        Rule("own", spiffe_id="spiffe://cluster.local/ns/*/sa/billing", roles=("reader",), tenant="acme"),
        Rule("partner", uri="https://billing.example/"),
        Rule("partner", dns="billing.example"),
        Rule("partner", cn="billing", deny=True),
        Rule("own", fingerprint="0f" * 32),
    )


def test_routes_keep_their_order() -> None:
    written = authorization(
        routes=[
            {"path": "/orders/**", "methods": ["GET", "POST"], "roles": ["reader", "writer"]},
            {"path": "/health"},
        ]
    )

    assert routes(written) == (
        Route("/orders/**", methods=("GET", "POST"), roles=("reader", "writer")),
        Route("/health"),
    )


def test_the_server_understands_what_the_operator_writes() -> None:
    given = authorization(
        rules=[{"spiffeId": "spiffe://shop.example/ns/*/sa/billing"}, {"dns": "billing.example.com"}],
        routes=[{"path": path} for path in ("/", "/orders/*/lines", "/orders/**", "/**", "/a/")],
    )
    written = Policy(version=1, server_names=(), sources={}, rules=rules(given), routes=routes(given))

    assert Authorisation.compile(decode_policy(encode_policy(written))).policy == written
