"""A real Kubernetes on one machine: a control plane on loopback and a node in namespaces of its own."""

from tests.cluster.control_plane import start as start_control_plane
from tests.cluster.control_plane import stop_apiserver
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster
from tests.cluster.lifecycle import down, in_node, running, up
from tests.cluster.node import load

__all__ = [
    "Cluster",
    "ClusterError",
    "down",
    "in_node",
    "load",
    "running",
    "start_control_plane",
    "stop_apiserver",
    "up",
]
