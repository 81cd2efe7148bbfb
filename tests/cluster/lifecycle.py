import shutil

from tests.cluster import cache, control_plane, layout
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster
from tests.cluster.progress import step


def up(name: str | None = None, *, node: bool = True) -> Cluster:
    """Return the cluster of this name after starting whatever of it does not run."""
    name = name or layout.default_name()
    with cache.locked(layout.lock(name)):
        cluster = layout.allocate(name)
        control_plane.start(cluster)
        return cluster


def down(name: str | None = None) -> None:
    """Stop the cluster of this name and remove all of it; nothing happens where there is none."""
    name = name or layout.default_name()
    with cache.locked(layout.lock(name)):
        if cluster := layout.find(name):
            with step(f"Stopping {name}"):
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
