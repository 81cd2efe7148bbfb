"""Requests to the API server: connection, credentials, timeouts; JSON in, JSON out."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import aiohttp
import msgspec
from kubernetes.aio import config
from kubernetes.aio.client.api_client import ApiClient as RawClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient

from mtls_operator.reconcile.ports import Object, UnavailableError

from .failures import status_error

TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=30, sock_read=30)
"""Seconds; a request that takes longer has an unknown outcome."""
MAX_CONCURRENT: Final = 16
"""Requests in flight at once: all keys together never herd on the API server."""

JSON: Final = "application/json"


async def configure() -> Configuration:
    """Read KUBECONFIG where it is set, else the Pod's service account, else ``~/.kube/config``.

    The service account's token is read again every minute, since kubelet rotates it.

    Raises:
        config.ConfigException: none of these names an API server.
    """
    configuration = Configuration()
    file = os.environ.get("KUBECONFIG")
    if not file and "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(client_configuration=configuration)
    else:
        await config.load_kube_config(file, client_configuration=configuration)
    return configuration


@dataclass(frozen=True)
class Request:
    """One request; the path counts from the root of the API server, the body is sent as JSON."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Object | None = None
    content_type: str = JSON
    accept: str = JSON


class Transport:
    """One connection pool to one API server. Use it as an async context manager."""

    def __init__(self, configuration: Configuration, timeout: aiohttp.ClientTimeout = TIMEOUT) -> None:
        self._raw = RawClient(configuration)
        self._raw.user_agent = "mtls-operator"
        self._client = DynamicClient(self._raw)  # never awaited: that would discover the whole API
        self._timeout = timeout
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._raw.close()

    async def send(self, request: Request, guard: Callable[[], None] = lambda: None) -> Object:
        """Send one request and return the object that answers it.

        Args:
            request: what to send.
            guard: called just before sending; raises to prevent it.

        Raises:
            StatusError: the API server answered with a status of 400 or more.
            UnavailableError: it did not answer, or not with a JSON object.
        """
        async with self._slots:
            guard()
            try:
                answer = await self._client.request(
                    request.method,
                    request.path,
                    body=request.body,
                    query_params=list(request.query.items()),
                    header_params={"Accept": request.accept},
                    content_type=request.content_type,
                    _request_timeout=self._timeout,
                    serialize=False,
                )
                return msgspec.json.decode(await answer.read(), type=dict[str, Any])
            except ApiException as refusal:
                raise status_error(refusal.status, refusal.headers or {}, refusal.body) from None
            except (aiohttp.ClientError, OSError, msgspec.MsgspecError, UnicodeDecodeError) as trouble:
                what = f"{request.method} {request.path}"
                reason = f"no answer from the API server to {what}: {type(trouble).__name__}"
                raise UnavailableError(reason) from None
