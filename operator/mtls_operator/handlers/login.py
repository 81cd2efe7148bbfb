"""Where the API server is, and as whom it is asked."""

import asyncio
import dataclasses
import os
from datetime import UTC, datetime, timedelta
from typing import Final

import kopf

_EXPIRATION: Final = timedelta(minutes=5)
"""How soon a token is read again: kubelet rotates it, and the old one lives on for long enough."""
_PAUSE: Final = 5.0
"""Seconds between logins, so that a refused token is not retried in a tight loop."""


def find() -> kopf.ConnectionInfo:
    """Read KUBECONFIG where it is set, else the Pod's service account, else ``~/.kube/config``.

    Raises:
        kopf.LoginError: none of these names an API server.
    """
    settings = kopf.OperatorSettings()
    if not os.environ.get("KUBECONFIG") and (account := kopf.login_with_service_account(settings=settings)):
        return dataclasses.replace(account, server=_server())
    if (file := kopf.login_with_kubeconfig(settings=settings)) is not None:
        return file
    raise kopf.LoginError("neither KUBECONFIG nor a service account nor ~/.kube/config names an API server")


class Login:
    """How kopf's own requests are authenticated.

    Credentials that expire are new ones each time, so kopf never gives up on them for good.
    """

    def __init__(self) -> None:
        self._next = 0.0

    async def connect(self, **_: object) -> kopf.ConnectionInfo:
        """Serve as login handler."""
        now = asyncio.get_running_loop().time()
        self._next = max(now, self._next)
        await asyncio.sleep(self._next - now)
        self._next += _PAUSE
        return dataclasses.replace(find(), expiration=datetime.now(UTC) + _EXPIRATION)


def _server() -> str:
    """Return the address that kubelet names: mostly an IP, which needs no DNS."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
