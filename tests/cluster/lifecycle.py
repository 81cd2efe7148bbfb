import shutil
import subprocess
from collections.abc import Sequence

from tests.cluster import cache, control_plane, layout, namespaces, node
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster
from tests.cluster.progress import step


def up(name: str | None = None, *, with_node: bool = True) -> Cluster:
    """Return the cluster of this name after starting whatever of it does not run."""
    name = name or layout.default_name()
    with cache.locked(layout.lock(name)):
        cluster = layout.allocate(name)
        control_plane.start(cluster)
        if with_node:
            node.start(cluster)
        return cluster


def down(name: str | None = None) -> None:
    """Stop the cluster of this name and remove all of it; nothing happens where there is none."""
    name = name or layout.default_name()
    with cache.locked(layout.lock(name)):
        if cluster := layout.find(name):
            with step(f"Stopping {name}"):
                node.stop(cluster)
                control_plane.stop(cluster)
                shutil.rmtree(cluster.state)


def running(name: str | None = None) -> Cluster:
    """Return the running cluster of this name, or say how to start it."""
    name = name or layout.default_name()
    cluster = layout.find(name)
    if not cluster or not control_plane.running(cluster):
        raise ClusterError(
            f"The cluster {name} does not run; start it with: MTLS_CLUSTER={name} make cluster"
        )
    return cluster


def in_node(
    cluster: Cluster, command: Sequence[str], *, check: bool = True, timeout: float | None = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command in the node's network, where pods and Services are, and return what it printed."""
    words = [*namespaces.enter(cluster, "net"), *command]
    return subprocess.run(words, capture_output=True, text=True, check=check, timeout=timeout)
