"""Requests to the API server: connection, credentials, timeouts; JSON in, JSON out."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

import aiohttp
import msgspec

from mtls_operator.reconcile.ports import Object, UnavailableError

from .failures import status_error

TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=30, sock_read=30)
"""Seconds; a request that takes longer has an unknown outcome."""
MAX_CONCURRENT: Final = 16
"""Requests in flight at once: all keys together never herd on the API server."""

_FRESH: Final = 60.0
"""Seconds until credentials are read again: kubelet rotates them, and old ones live on for long enough."""

JSON: Final = "application/json"


class ConnectionInfo(Protocol):
    """Where the API server is, and as whom it is asked: what is used of kopf's class of this name."""

    @property
    def server(self) -> str:
        """Its URL, perhaps with a path."""

    @property
    def proxy_url(self) -> str | None:
        """Of the proxy before it."""

    def as_ssl_context(self) -> ssl.SSLContext:
        """Return whom we trust and, where that is how we are known, our certificate."""

    def as_http_headers(self) -> Mapping[str, str]:
        """Return what else says who we are."""


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

    def __init__(self, find: Callable[[], ConnectionInfo], timeout: aiohttp.ClientTimeout = TIMEOUT) -> None:
        found = find()
        self._find = find
        self._server = found.server.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=found.as_ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "mtls-operator"},
            proxy=found.proxy_url,
            timeout=timeout,
        )
        self._credentials: Mapping[str, str] = {}
        self._stale = 0.0
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, request: Request, guard: Callable[[], None] = lambda: None) -> Object:
        """Send one request and return the object that answers it.

        Args:
            request: what to send.
            guard: called just before sending; raises to prevent it.

        Raises:
            StatusError: the API server refused, or sends elsewhere, where nobody follows.
            UnavailableError: it did not answer, or not with a JSON object.
        """
        async with self._slots:
            guard()
            try:
                async with self._session.request(
                    request.method,
                    self._server + request.path,
                    params=request.query,
                    data=None if request.body is None else msgspec.json.encode(request.body),
                    headers=self._headers(request),
                    allow_redirects=False,
                ) as answer:
                    body = await answer.read()
                if answer.status >= 300:
                    raise status_error(answer.status, answer.headers, body)
                return msgspec.json.decode(body, type=dict[str, Any])
            except (aiohttp.ClientError, OSError, msgspec.MsgspecError, UnicodeDecodeError) as trouble:
                what = f"{request.method} {request.path}"
                reason = f"no answer from the API server to {what}: {type(trouble).__name__}"
                raise UnavailableError(reason) from None

    def _headers(self, request: Request) -> Mapping[str, str]:
        now = asyncio.get_running_loop().time()
        if now >= self._stale:
            self._credentials = self._find().as_http_headers()
            self._stale = now + _FRESH
        return {**self._credentials, "Accept": request.accept, "Content-Type": request.content_type}
