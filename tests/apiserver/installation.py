"""The chart, installed on a real API server, and what accounts may do there."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import uuid4

from mtls_operator.reconcile.ports import Object
from tests.apiserver.manifests import secret
from tests.cluster.kubectl import Kubectl
from tests.unit.chart.rendering import CHART


class Account(NamedTuple):
    """A user or a ServiceAccount who tries things, without consequences."""

    kubectl: Kubectl
    user: str

    def does(self, *arguments: str, stdin: Object | str = "") -> str:
        """Try it; return why it is refused, or nothing."""
        command = (*arguments, "--dry-run=server", f"--as={self.user}")
        result = self.kubectl.run(*command, stdin=stdin, check=False)
        return result.stderr if result.returncode else ""

    def creates(self, manifest: Object) -> str:
        return self.does("create", "--filename=-", stdin=manifest)

    def patches(self, manifest: Object, patch: Object) -> str:
        return self.does("patch", *_name(manifest), "--type=merge", f"--patch={json.dumps(patch)}")

    def replaces(self, manifest: Object) -> str:
        return self.does("replace", "--filename=-", stdin=manifest)

    def deletes(self, manifest: Object) -> str:
        return self.does("delete", *_name(manifest))


def _name(manifest: Object) -> tuple[str, ...]:
    metadata = manifest["metadata"]
    return f"--namespace={metadata['namespace']}", f"{manifest['kind']}/{metadata['name']}"


class Operator(NamedTuple):
    """An installation: what it may do, and the namespace that it lives in."""

    account: Account
    namespace: str


@contextmanager
def installed(kubectl: Kubectl) -> Iterator[Operator]:
    """Install the chart into a namespace of its own, and remove it in the end."""
    namespace = f"mtls-{uuid4().hex[:8]}"
    command(kubectl, "install", "mtls-operator", str(CHART), f"--namespace={namespace}", "--create-namespace")
    account = Account(kubectl, f"system:serviceaccount:{namespace}:mtls-operator")
    until(lambda: "writes only Secrets" in account.creates(secret("default", labels={})))
    yield Operator(account, namespace)
    command(kubectl, "uninstall", "mtls-operator", f"--namespace={namespace}")
    kubectl.run("delete", "namespace", namespace, "--wait=false")


def command(kubectl: Kubectl, *arguments: str) -> None:
    """Run helm; the kinds are there already."""
    without_crds = ("--set=crds.enabled=false",) if arguments[0] == "install" else ()
    kubectl.helm(*arguments, *without_crds)


def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait for what the API server does in a moment, unless it is given longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)
