"""The real node with the chart installed on it, for the whole run; a namespace for each test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import images, lifecycle, node, packages
from tests.cluster.errors import ClusterError
from tests.cluster.kubectl import Kubectl
from tests.cluster.layout import Cluster
from tests.e2e.figures import Figures
from tests.e2e.installation import Operator
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import Reader
from tests.e2e.witness import Witness

DEBIAN_PACKAGES = ["curl", "nodejs", "openssl"]
LAST = "test_secrecy.py"
FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Figures()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == LAST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash[FIGURES]
    if figures:
        figures.write()
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.line(str(figure))


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Figures:
    return request.config.stash[FIGURES]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster of MTLS_CLUSTER with a node and our images; one that ran before is left running."""
    try:
        lifecycle.running()
        began_here = False
    except ClusterError:
        began_here = True
    with _progress_shown(request):
        packages.require(*DEBIAN_PACKAGES)
        archives = images.archives()
        cluster = lifecycle.up()
        node.load(cluster, *archives)
    yield cluster
    if began_here:
        with _progress_shown(request):
            lifecycle.down()


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    return Kubectl(cluster.kubeconfig)


@pytest.fixture(scope="session")
def reader(cluster: Cluster) -> Iterator[Reader]:
    reader = Reader(cluster.kubeconfig)
    yield reader
    reader.close()


@pytest.fixture(scope="session")
def witness(cluster: Cluster) -> Iterator[Witness]:
    with Witness(cluster) as witness:
        yield witness


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, reader: Reader, witness: Witness) -> Iterator[Operator]:  # noqa: ARG001
    """The chart, installed by helm; watched from its first moment."""
    operator = Operator(kubectl, reader)
    operator.remove_kinds()  # other tests may have left it, and helm takes over nothing
    operator.install()
    yield operator
    operator.uninstall()
    operator.remove_kinds()


@pytest.fixture
def namespace(operator: Operator, tmp_path: Path) -> Iterator[Namespace]:
    """A namespace of one test."""
    with _namespace(operator, tmp_path) as namespace:
        yield namespace


@pytest.fixture(scope="module")
def shared_namespace(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    """A namespace for the tests of one module."""
    with _namespace(operator, tmp_path_factory.mktemp("shared")) as namespace:
        yield namespace


@contextmanager
def _namespace(operator: Operator, folder: Path) -> Iterator[Namespace]:
    with operator.kubectl.namespace() as name:
        yield Namespace(name, operator.kubectl, operator.reader, folder)


@contextmanager
def _progress_shown(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let what takes minutes be seen while it does."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        yield
