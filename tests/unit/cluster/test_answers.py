"""What odd answers mean: never that an object is gone, never more than is known."""

import asyncio
import socket

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.transport import Transport
from mtls_operator.reconcile.ports import (
    DEPLOYMENT,
    SECRET,
    Object,
    Ref,
    RefusedError,
    UnavailableError,
)
from tests.unit.cluster.answers import Script, api_server, status

LEAF = Ref(SECRET, "shop", "orders-server")
BODY: Object = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "orders-server", "namespace": "shop", "resourceVersion": "7"},
}


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=404, text="404 page not found"),
        status(404, "NotFound"),
        status(404, "NotFound", details={"name": "shop", "kind": "namespaces"}),
        status(404, "NotFound", details={"name": "orders-client-billing", "kind": "secrets"}),
        web.json_response({"kind": "Nonsense"}, status=404),
    ],
    ids=["no Status", "no details", "another kind", "another name", "not a Status"],
)
async def test_only_a_404_about_the_object_says_that_it_is_absent(answer: web.Response) -> None:
    async with api_server(Script(answer)) as client:
        with pytest.raises(UnavailableError):
            await client.get(LEAF)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_trouble_carries_the_wish_to_wait(code: int) -> None:
    async with api_server(Script(status(code, headers={"Retry-After": "7"}))) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.replace(SECRET, BODY)
    assert caught.value.retry_after == 7


async def test_the_wish_to_wait_may_stand_in_the_status() -> None:
    async with api_server(Script(status(500, details={"retryAfterSeconds": 3}))) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.replace(SECRET, BODY)
    assert caught.value.retry_after == 3


async def test_an_expired_token_is_trouble_not_refusal() -> None:
    async with api_server(Script(status(401, "Unauthorized"))) as client:
        with pytest.raises(UnavailableError, match="Unauthorized"):
            await client.get(LEAF)


async def truncated(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"kind": "Secret", "data": {"tls.key": "cHJlY2lvdXM')
    assert request.transport is not None
    request.transport.close()
    return response


async def silent(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(1)
    return web.Response()


@pytest.mark.parametrize(
    "answer",
    [
        truncated,
        silent,
        web.Response(text="<html>"),
        web.Response(text="[]"),
        web.Response(text=""),
        web.Response(body=b'{"kind":"\xff"}'),
    ],
    ids=["truncated", "silent", "no JSON", "no object", "empty", "no UTF-8"],
)
async def test_an_answer_that_is_none_leaves_the_outcome_open(answer: web.StreamResponse) -> None:
    async with api_server(Script(answer)) as client:
        with pytest.raises(UnavailableError, match="no answer from the API server to PUT") as caught:
            await client.replace(SECRET, BODY)
    assert "cHJlY2lvdXM" not in str(caught.value)


async def test_a_failure_whose_words_are_no_utf_8_is_still_that_failure() -> None:
    async with api_server(Script(web.Response(body=b'{"kind":"\xff"}', status=500))) as client:
        with pytest.raises(UnavailableError, match="HTTP 500"):
            await client.replace(SECRET, BODY)


async def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    async with Transport(Configuration(host=f"http://127.0.0.1:{port}")) as transport:
        with pytest.raises(UnavailableError, match="ClientConnectorError"):
            await ApiClient(transport).get(LEAF)


async def test_an_expired_list_is_begun_again() -> None:
    first = {"kind": "SecretList", "metadata": {"continue": "a"}, "items": [{"metadata": {"name": "stale"}}]}
    whole = {"kind": "SecretList", "metadata": {}, "items": [{"metadata": {"name": "fresh"}}]}
    script = Script(web.json_response(first), status(410, "Expired"), web.json_response(whole))

    async with api_server(script) as client:
        listed = await client.list(SECRET, "shop")

    assert [item["metadata"]["name"] for item in listed] == ["fresh"]
    assert script.requests == [
        "GET /api/v1/namespaces/shop/secrets?limit=500",
        "GET /api/v1/namespaces/shop/secrets?limit=500&continue=a",
        "GET /api/v1/namespaces/shop/secrets?limit=500",
    ]


async def test_a_list_that_always_expires_is_trouble() -> None:
    async with api_server(Script(*(status(410, "Expired") for _ in range(3)))) as client:
        with pytest.raises(UnavailableError, match="expired 3 times"):
            await client.list(SECRET)


async def test_what_is_no_list_is_not_an_empty_one() -> None:
    async with api_server(Script(web.json_response({"kind": "Status"}))) as client:
        with pytest.raises(UnavailableError, match="no list"):
            await client.list(SECRET)


async def test_of_a_refused_secret_only_the_fields_are_told() -> None:
    refusal = status(
        422,
        "Invalid",
        message='Secret "orders-server" is invalid: data[tls.key]: Invalid value: "precious"',
        details={"name": "orders-server", "kind": "Secret", "causes": [{"field": "data[tls.key]"}]},
    )
    async with api_server(Script(refusal)) as client:
        with pytest.raises(RefusedError) as caught:
            await client.replace(SECRET, BODY)
    assert str(caught.value) == "Secret shop/orders-server: HTTP 422 Invalid in data[tls.key]"


async def test_of_other_kinds_the_message_is_told_unless_it_carries_pem() -> None:
    body = {**BODY, "kind": "Deployment"}
    told = status(403, "Forbidden", message="exceeded quota: small")
    withheld = status(403, "Forbidden", message="env: -----BEGIN EC PRIVATE KEY-----")
    async with api_server(Script(told, withheld)) as client:
        with pytest.raises(RefusedError, match=r"^Deployment shop/orders-server: exceeded quota: small$"):
            await client.replace(DEPLOYMENT, body)
        with pytest.raises(RefusedError, match=r"^Deployment shop/orders-server: HTTP 403 Forbidden$"):
            await client.replace(DEPLOYMENT, body)


async def test_a_field_that_does_not_exist_is_refused_for_good_whatever_the_code() -> None:
    message = "failed to create typed patch object (shop/orders; apps/v1): .spec.colour: field not declared"
    async with api_server(Script(status(500, message=message))) as client:
        with pytest.raises(RefusedError, match=r"\.spec\.colour: field not declared"):
            await client.replace(DEPLOYMENT, {**BODY, "kind": "Deployment"})


async def test_a_long_message_is_cut() -> None:
    async with api_server(Script(status(403, message="x" * 10_000))) as client:
        with pytest.raises(RefusedError) as caught:
            await client.replace(DEPLOYMENT, BODY)
    assert len(str(caught.value)) < 600


NAMESPACE_ENDS = {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}


@pytest.mark.parametrize(
    "answer",
    [
        status(404, "NotFound", details={"name": "shop", "kind": "namespaces"}),
        status(403, "Forbidden", details=NAMESPACE_ENDS),
    ],
    ids=["gone", "being deleted"],
)
async def test_a_namespace_that_ends_is_trouble_to_be_waited_for(answer: web.Response) -> None:
    """A changed world would be tried again at once, a refusal be told: both for nothing."""
    async with api_server(Script(answer)) as client:
        with pytest.raises(UnavailableError):
            await client.create(SECRET, BODY)


async def test_a_kind_that_is_not_served_is_trouble_for_a_deletion() -> None:
    async with api_server(Script(web.Response(status=404))) as client:
        with pytest.raises(UnavailableError):
            await client.delete(LEAF, "uid", "7")
