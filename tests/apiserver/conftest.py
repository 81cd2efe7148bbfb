"""A real API server, and kubectl as the independent witness of what the code under test did to it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from mtls_operator.api import names
from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.transport import Transport, configure
from mtls_operator.reconcile.ports import Object
from tests.apiserver.installation import Account, Operator, installed
from tests.cluster import lifecycle
from tests.cluster.errors import ClusterError
from tests.cluster.kubectl import Kubectl
from tests.cluster.layout import Cluster

CRDS = Path(__file__).parents[2] / "crds"


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
    return Kubectl(cluster.kubeconfig)


@pytest.fixture(scope="session")
def crd(kubectl: Kubectl) -> None:
    """Our kinds, as they are committed."""
    kubectl.run("apply", f"--kustomize={CRDS}")
    for plural in (names.PLURAL, names.CLIENT_PLURAL):
        name = f"{plural}.{names.GROUP}"
        kubectl.run("wait", "--for=condition=Established", f"customresourcedefinition/{name}")


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, crd: None) -> Iterator[Operator]:
    """The chart, installed once; nothing of it runs without a node."""
    del crd
    with installed(kubectl) as operator:
        yield operator


@pytest.fixture
def account(operator: Operator) -> Account:
    """The operator's own account."""
    return operator.account


@pytest.fixture
def exists(kubectl: Kubectl) -> Callable[[Object], Object]:
    """Make an object exist, whoever's it may be."""

    def create(manifest: Object) -> Object:
        kubectl.run("create", "--filename=-", stdin=manifest)
        return manifest

    return create


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    with kubectl.namespace() as name:
        yield name


@pytest.fixture
async def transport(kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Transport]:
    monkeypatch.setenv("KUBECONFIG", str(kubectl.kubeconfig))
    async with Transport(await configure()) as transport:
        yield transport


@pytest.fixture
def client(transport: Transport) -> ApiClient:
    return ApiClient(transport)
