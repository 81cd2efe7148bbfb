"""A rotation under traffic, seen by a caller in a pod of its own that mounts the Secret issued to it."""

import inspect
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from mtls_operator.api.names import ANNOTATION_REISSUE, client_secret
from tests.cluster.errors import ClusterError
from tests.cluster.progress import step
from tests.demo import caller, telling
from tests.demo.calls import PORT
from tests.demo.installation import CLIENT, IN_NAMESPACE, SERVICE
from tests.demo.target import Target

SECONDS = 25
"""How long the caller calls."""
BEFORE = 5
"""How many of them pass before the rotation."""


@dataclass
class Seen:
    """What the caller has met so far."""

    requests: int = 0
    connections: int = 0
    failures: list[str] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)
    """Serial of each certificate to when a new connection first met it, by the monotonic clock."""
    last: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        new = f"{self.connections} of them over new connections"
        return f"{self.requests} requests, {new}, {len(self.failures)} failed"

    def take_in(self, news: dict[str, Any], now: float) -> None:
        self.requests += news["requests"]
        self.connections += news["connections"]
        self.failures += news["failures"]
        for serial in news["serials"]:
            self.first.setdefault(serial, now)
            self.last[serial] = now


def show_rotation(target: Target) -> None:
    deployment = json.loads(target.kubectl("get", f"deployment/{SERVICE}", IN_NAMESPACE, "--output=json"))
    target.kubectl("apply", "--filename=-", IN_NAMESPACE, stdin=json.dumps(_pod(deployment)))
    with step("Waiting until the caller's pod runs"):
        target.kubectl("wait", IN_NAMESPACE, "--for=condition=Ready", f"pod/{CLIENT}", "--timeout=60s")
    telling.say(
        f"The pod {CLIENT} mounts the Secret {client_secret(SERVICE, CLIENT)} and calls for {SECONDS} s over "
        f"{caller.KEPT_CONNECTIONS} connections that are kept alive, and many new ones a second."
    )
    before = _serial(target)
    seen, requested = _follow(target)
    target.kubectl("delete", f"pod/{CLIENT}", IN_NAMESPACE, "--wait=false")
    _tell(seen, before, _serial(target), requested)


def _follow(target: Target) -> tuple[Seen, float]:
    """Follow the caller to its end, and ask for new certificates in the middle; return when that was."""
    seen, began, requested, told = Seen(), time.monotonic(), 0.0, 0.0
    with _log(target) as lines:
        for line in lines:
            now = time.monotonic()
            seen.take_in(json.loads(line), now)
            if not requested and now > began + BEFORE:
                requested = now
                _request(target)
            if now > told + 2:
                told = now
                telling.say(f"{now - began:4.0f} s: {seen}")
    return seen, requested


def _request(target: Target) -> None:
    value = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    command = ["annotate", "--overwrite", f"mtls/{SERVICE}", IN_NAMESPACE, f"{ANNOTATION_REISSUE}={value}"]
    telling.command(["kubectl", *command])
    target.kubectl(*command)


def _tell(seen: Seen, before: str, after: str, requested: float) -> None:
    if seen.failures:
        raise ClusterError(f"{len(seen.failures)} requests failed, the first one so: {seen.failures[0]}")
    if after == before or after not in seen.first or before not in seen.last:
        raise ClusterError(
            f"The certificate was not rotated: see `kubectl describe mtls/{SERVICE} {IN_NAMESPACE}`."
        )
    telling.say(f"The server's certificate before: {before}")
    telling.say(f"                          after: {after}")
    telling.say(
        f"New connections met the new one {seen.first[after] - requested:.1f} s after the command, "
        f"and the old one for the last time after {seen.last[before] - requested:.1f} s."
    )
    telling.say(f"In all {seen}.")


def _serial(target: Target) -> str:
    path = "--output=jsonpath={.status.serverCertificate.serial}"
    return target.kubectl("get", f"mtls/{SERVICE}", IN_NAMESPACE, path)


@contextmanager
def _log(target: Target) -> Iterator[IO[str]]:
    """Follow what the caller's pod prints, until it ends."""
    words = target.command("kubectl", "logs", "--follow", IN_NAMESPACE, f"pod/{CLIENT}")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=target.environment) as following:
        try:
            assert following.stdout
            yield following.stdout
        finally:
            following.terminate()


def _pod(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return the caller's pod; it uses the server's image, since that has Python."""
    server = deployment["spec"]["template"]["spec"]
    arguments = [SERVICE, str(PORT), str(SECONDS)]
    container = {
        "name": "caller",
        "image": server["containers"][0]["image"],
        "command": ["python3", "-c", inspect.getsource(caller), *arguments],
        "volumeMounts": [{"name": "identity", "mountPath": str(caller.SECRET), "readOnly": True}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "identity", "secret": {"secretName": client_secret(SERVICE, CLIENT)}}],
        "imagePullSecrets": server.get("imagePullSecrets", []),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": CLIENT}, "spec": spec}
