"""A namespace of one test, and the callers of the services in it."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.kubectl import Kubectl
from tests.e2e.clients import Files, Target
from tests.e2e.manifests import counting_app
from tests.e2e.reader import MTLS_SERVICE, SECRET, SERVICE, Object, Reader, decoded
from tests.e2e.waiting import until

PORT = 8443
IMAGES_ARE_LOADED = 20.0
"""Seconds from apply to Ready, at most."""


@dataclass(frozen=True)
class Namespace:
    name: str
    kubectl: Kubectl
    reader: Reader
    folder: Path

    def apply_ready(self, service: Object, *, seconds: float = IMAGES_ARE_LOADED) -> Object:
        """Apply an MTLSService and return it once it is Ready."""
        self.kubectl.apply(service)
        return self.ready(service["metadata"]["name"], seconds=seconds)

    def with_counting_app(self) -> None:
        self.kubectl.apply(counting_app(self.name))

    def ready(self, service: str, *, seconds: float = IMAGES_ARE_LOADED) -> Object:
        def look() -> bool:
            return self.reader.is_ready(self.name, service)

        try:
            until(f"{service} is Ready", look, seconds=seconds)
        except AssertionError as late:
            observed = self.reader.find(MTLS_SERVICE, self.name, service) or {}
            raise AssertionError(f"{late}; its status: {observed.get('status')}") from None
        return self.reader.get(MTLS_SERVICE, self.name, service)

    def status(self, service: str) -> Object:
        status: Object = self.reader.get(MTLS_SERVICE, self.name, service).get("status", {})
        return status

    def annotate(self, service: str, annotation: str) -> None:
        """Write an annotation of ours, `name=value`, or remove it, `name-`."""
        where = f"--namespace={self.name}"
        self.kubectl("annotate", "--overwrite", f"mtls/{service}", f"mtls-operator.io/{annotation}", where)

    def delete(self, what: str, name: str) -> None:
        self.kubectl("delete", what, name, f"--namespace={self.name}")

    def dns_name(self, service: str) -> str:
        return f"{service}.{self.name}.svc"

    def target(self, service: str) -> Target:
        """Return the Service as callers reach it."""
        address = self.reader.get(SERVICE, self.name, service)["spec"]["clusterIP"]
        return Target(address, PORT, self.dns_name(service))

    def pod_targets(self, service: str) -> list[Target]:
        """Return each pod of its servers."""
        pods = self.reader.pods(self.name, service)
        return [Target(pod["status"]["podIP"], PORT, self.dns_name(service)) for pod in pods]

    def files(self, secret: str) -> Files:
        """Write the contents of a Secret down as a pod that mounts it would see them; each version stays."""
        found = self.reader.get(SECRET, self.name, secret)
        return Files.of(decoded(found), self.folder / secret / found["metadata"]["resourceVersion"])

    def log(self, pod: str) -> list[str]:
        return self.kubectl("logs", pod, f"--namespace={self.name}").splitlines()
