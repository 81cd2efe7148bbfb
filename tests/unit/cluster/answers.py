"""An API server that says once what a real one cannot be made to say."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.transport import Transport

Answer = web.StreamResponse | Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Script:
    """Answers in turn, and the requests that they answered."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[str] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        answer = self._answers.pop(0)
        return answer if isinstance(answer, web.StreamResponse) else await answer(request)


@asynccontextmanager
async def api_server(script: Script) -> AsyncIterator[ApiClient]:
    runner = web.ServerRunner(web.Server(script.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        async with Transport(configuration, aiohttp.ClientTimeout(total=0.5)) as transport:
            yield ApiClient(transport)
    finally:
        await runner.cleanup()


def status(
    code: int, reason: str = "", *, headers: dict[str, str] | None = None, **rest: object
) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, **rest}
    return web.json_response(body, status=code, headers=headers)
