"""What stands behind mTLS."""

from mtls_operator.api.rules import backends
from mtls_operator.api.scalars import Application, Timeout, UpstreamUrl
from mtls_operator.api.schema import ruled
from mtls_operator.api.types.model import Model


class IdentityBackend(Model):
    """Answers every request with who the caller is, as JSON."""


class AsgiBackend(Model):
    """An ASGI application of the server image."""

    app: Application
    """Where the application is: `module:attribute`, such as `shop.orders:app`."""


class WsgiBackend(Model):
    """A WSGI application of the server image."""

    app: Application
    """Where the application is: `module:attribute`, such as `shop.orders:app`."""


class UpstreamTimeouts(Model):
    """How long the reverse proxy waits for the server behind it."""

    connect: Timeout | None = None
    """For a connection. Default: 5s."""
    response: Timeout | None = None
    """For the head of the response. Default: 60s."""
    idle: Timeout | None = None
    """For the next bytes of a body. Default: 60s."""


class UpstreamBackend(Model, json_schema_extra=ruled(backends.UPSTREAM_EXPOSED)):
    """An HTTP/1.1 server that requests are passed on to."""

    url: UpstreamUrl
    """Where the server listens, such as `http://127.0.0.1:8080`."""
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    """How long to wait for it."""
    insecure_acknowledged: bool = False
    """Must be true where `url` is not loopback: who reaches it passes mTLS by. Default: false."""


class NoBackend(Model):
    """Certificates only: no Deployment, no Service."""


class Backend(Model, json_schema_extra=ruled(backends.ONE_BACKEND)):
    """What stands behind mTLS: exactly one of its fields."""

    identity: IdentityBackend | None = None
    """Answers who the caller is, as JSON."""
    asgi: AsgiBackend | None = None
    """An ASGI application of the server image."""
    wsgi: WsgiBackend | None = None
    """A WSGI application of the server image."""
    upstream: UpstreamBackend | None = None
    """A reverse proxy to an HTTP/1.1 server."""
    none: NoBackend | None = None
    """Certificates only: no Deployment, no Service. A server of the user's own mounts the Secret."""
