"""A real API server, and kubectl as the independent witness of what the code under test did to it."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from mtls_operator.api import names
from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.transport import Transport, configure
from mtls_operator.reconcile.ports import Object
from tests.cluster import binaries, lifecycle
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster

CRDS = Path(__file__).parents[2] / "crds"


@dataclass(frozen=True)
class Kubectl:
    program: Path
    kubeconfig: Path

    @property
    def cache(self) -> Path:
        """What kubectl remembers of the kinds, kept apart: a later cluster may have the same address."""
        return self.kubeconfig.parent / "kubectl"

    def run(
        self, *arguments: str, stdin: Object | str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments],
            input=stdin if isinstance(stdin, str) else json.dumps(stdin),
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache)},
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def get(self, *arguments: str) -> Object | None:
        """Return the object, or None where there is none."""
        found = self.run("get", *arguments, "--output=json", "--ignore-not-found").stdout
        return json.loads(found) if found else None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The control plane of MTLS_CLUSTER; one that ran before is left running."""
    try:
        yield lifecycle.running()
    except ClusterError:
        yield lifecycle.up(with_node=False)
        lifecycle.down()


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    return Kubectl(binaries.directory() / "kubectl", cluster.kubeconfig)


@pytest.fixture(scope="session")
def crd(kubectl: Kubectl) -> None:
    """Our kinds, as they are committed."""
    kubectl.run("apply", f"--kustomize={CRDS}")
    for plural in (names.PLURAL, names.CLIENT_PLURAL):
        name = f"{plural}.{names.GROUP}"
        kubectl.run("wait", "--for=condition=Established", f"customresourcedefinition/{name}")


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"test-{uuid4().hex[:8]}"
    kubectl.run("create", "namespace", name)
    yield name
    kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def transport(kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Transport]:
    monkeypatch.setenv("KUBECONFIG", str(kubectl.kubeconfig))
    async with Transport(await configure()) as transport:
        yield transport


@pytest.fixture
def client(transport: Transport) -> ApiClient:
    return ApiClient(transport)
