"""How requests reach the API server: as whom, and in what form."""

from itertools import count

import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from mtls_operator.cluster.transport import Request, Transport
from mtls_operator.reconcile.ports import SECRET, Ref, UnavailableError
from tests.unit.cluster.answers import Script, api_server


async def test_a_token_that_kubelet_rotates_is_read_again() -> None:
    shown: list[str] = []

    async def show(request: web.BaseRequest) -> web.Response:
        shown.append(request.headers["Authorization"])
        return web.json_response({})

    tokens = count()
    async with RawTestServer(show) as server:
        url = str(server.make_url(""))
        async with Transport(lambda: kopf.ConnectionInfo(server=url, token=str(next(tokens)))) as transport:
            for _ in range(2):
                await transport.send(Request("GET", "/api"))
            transport._stale = 0.0  # as it is a minute later
            await transport.send(Request("GET", "/api"))
    assert shown == ["Bearer 1", "Bearer 1", "Bearer 2"]


async def test_nobody_is_sent_elsewhere() -> None:
    async with api_server(Script(web.Response(status=302, headers={"Location": "/elsewhere"}))) as client:
        with pytest.raises(UnavailableError, match="HTTP 302"):
            await client.get(Ref(SECRET, "shop", "orders-server"))


async def test_an_api_server_may_have_a_path_of_its_own() -> None:
    script = Script(web.json_response({}))
    async with api_server(script, path="/k8s/clusters/one/") as client:
        await client.get(Ref(SECRET, "shop", "orders-server"))
    assert script.requests == ["GET /k8s/clusters/one/api/v1/namespaces/shop/secrets/orders-server"]
