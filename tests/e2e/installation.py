"""The operator as people install it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mtls_operator.api import names
from tests.cluster.kubectl import Kubectl
from tests.e2e.reader import LEASE, POD, SECRET, Object, Reader
from tests.e2e.waiting import until

CHART = Path(__file__).parents[2] / "helm" / "mtls-operator"
CRD = f"{names.PLURAL}.{names.GROUP}"
CLIENT_CRD = f"{names.CLIENT_PLURAL}.{names.GROUP}"
VALUES: Mapping[str, str] = {"sweep.interval": "2s", "sweep.grace": "5s"}
"""Orphaned authorities go soon, so that a test can see it."""


@dataclass(frozen=True)
class Operator:
    """One installation of the chart."""

    kubectl: Kubectl
    reader: Reader
    namespace: str = "mtls-system"
    name: str = "mtls-operator"

    @property
    def account(self) -> str:
        """The name under which the API server knows it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def install(self, **values: str) -> None:
        settings = [f"--set={key}={value}" for key, value in {**VALUES, **values}.items()]
        where = [f"--namespace={self.namespace}", "--create-namespace"]
        self.kubectl.helm("install", self.name, str(CHART), *where, "--wait", "--timeout=120s", *settings)

    def uninstall(self) -> None:
        self.kubectl.helm("uninstall", self.name, f"--namespace={self.namespace}", "--wait")
        self.kubectl("delete", "namespace", self.namespace)

    def remove_kinds(self) -> None:
        """Remove what helm keeps: the CRDs, and with them all services and MTLSClients."""
        self.kubectl("delete", "crd", CRD, CLIENT_CRD, "--ignore-not-found")

    def stop(self) -> None:
        self._scale(0)
        until("the operator's pods are gone", lambda: not self.pods(), seconds=60)

    def start(self) -> None:
        self._scale(1)
        where = f"--namespace={self.namespace}"
        self.kubectl("rollout", "status", f"deployment/{self.name}", where, "--timeout=60s")

    def pods(self) -> list[Object]:
        return self.pods_seen_by(self.reader)

    def pods_seen_by(self, reader: Reader) -> list[Object]:
        return reader.find_all(POD, self.namespace, **{"app.kubernetes.io/name": "mtls-operator"})

    def leads(self) -> bool:
        """Say whether its one pod, which knows all services when it is ready, may act now."""
        (pod,) = self.pods()
        lease = self.reader.get(LEASE, self.namespace, self.name)
        return str(lease["spec"].get("holderIdentity")).startswith(pod["metadata"]["name"])

    def authority(self, service: Object) -> str:
        """Return the name of the Secret that holds the authorities of a service."""
        return f"authority-{service['metadata']['uid']}"

    def has_authority(self, service: Object) -> bool:
        return self.reader.find(SECRET, self.namespace, self.authority(service)) is not None

    def _scale(self, replicas: int) -> None:
        where = f"--namespace={self.namespace}"
        self.kubectl("scale", f"deployment/{self.name}", f"--replicas={replicas}", where)
