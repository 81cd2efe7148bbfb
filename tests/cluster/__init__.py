"""A real Kubernetes on one machine: a control plane on loopback and a node in namespaces of its own."""

from tests.cluster.control_plane import start_apiserver, stop_apiserver
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster
from tests.cluster.lifecycle import down, running, up

__all__ = ["Cluster", "ClusterError", "down", "running", "start_apiserver", "stop_apiserver", "up"]
