"""How kopf's own requests are authenticated."""

import asyncio
import dataclasses
import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import kopf

_EXPIRATION: Final = timedelta(minutes=5)
"""How soon a token is read again: kubelet rotates it, and the old one lives on for long enough."""
_PAUSE: Final = 5.0
"""Seconds between logins, so that a refused token is not retried in a tight loop."""


class Login:
    """Reads KUBECONFIG where it is set, else the Pod's service account, else ``~/.kube/config``.

    Credentials that expire are new ones each time, so kopf never gives up on them for good.
    """

    def __init__(self) -> None:
        self._next = 0.0

    async def connect(self, **context: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf passes its views
        """Serve as login handler."""
        now = asyncio.get_running_loop().time()
        self._next = max(now, self._next)
        await asyncio.sleep(self._next - now)
        self._next += _PAUSE
        return dataclasses.replace(_found(context), expiration=datetime.now(UTC) + _EXPIRATION)


def _found(context: dict[str, Any]) -> kopf.ConnectionInfo:
    if not os.environ.get("KUBECONFIG") and (account := kopf.login_with_service_account(**context)):
        return dataclasses.replace(account, server=_server())
    if (file := kopf.login_with_kubeconfig(**context)) is not None:
        return file
    raise kopf.LoginError("neither KUBECONFIG nor a service account nor ~/.kube/config names an API server")


def _server() -> str:
    """Return the address that kubelet names: mostly an IP, which needs no DNS."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
