"""Which cluster the demonstration runs on: one of its own, or the one that KUBECONFIG names."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import binaries, images, layout, lifecycle, node
from tests.cluster.errors import ClusterError

CLUSTER = os.environ.get("MTLS_CLUSTER") or "demo"


@dataclass(frozen=True)
class Target:
    """A cluster, the programs that talk to it, and the settings of the chart that fit it."""

    programs: Mapping[str, str]
    """`kubectl` and `helm`, and where they are."""
    settings: Mapping[str, str]
    kubeconfig: Path | None = None
    """Only of a cluster of our own; else the environment says it."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def command(self, program: str, *arguments: str) -> list[str]:
        return [self.programs[program], *arguments]

    def run(self, program: str, *arguments: str, stdin: str = "") -> str:
        """Run kubectl or helm and return what it printed.

        Raises:
            ClusterError: it failed; says which command, and its own words.
        """
        result = subprocess.run(
            self.command(program, *arguments),
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise ClusterError(f"`{program} {' '.join(arguments)}` failed:\n{result.stderr.strip()}")
        return result.stdout

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.run("kubectl", *arguments, stdin=stdin)

    def version(self) -> str:
        """Return the version of Kubernetes; this fails where no cluster answers."""
        answer = json.loads(self.kubectl("version", "--output=json"))
        return str(answer["serverVersion"]["gitVersion"])


def choose() -> Target:
    """Return the cluster to use, started if it is our own."""
    return _of_the_environment() if is_given() else _own()


def is_given() -> bool:
    """Tell whether KUBECONFIG names a cluster, and not merely our own one."""
    given, own = os.environ.get("KUBECONFIG"), layout.find(CLUSTER)
    return bool(given) and not (own and Path(str(given)).absolute() == own.kubeconfig)


def remove() -> None:
    lifecycle.down(CLUSTER)


def _own() -> Target:
    cluster = lifecycle.up(CLUSTER)
    archives = images.archives()
    node.load(cluster, *archives)
    programs = {name: str(binaries.directory() / name) for name in ("kubectl", "helm")}
    # The tag stays the same, so it is this annotation that makes a new build of the operator start.
    built = {"podAnnotations.demo-build": archives[0].parent.name}
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    return Target(programs, built, cluster.kubeconfig, environment)


def _of_the_environment() -> Target:
    registry = os.environ.get("IMAGE_REGISTRY")
    if not registry:
        raise ClusterError(
            "KUBECONFIG is set, so the demonstration goes to that cluster, which must find the images: "
            "push what `make images` builds to a registry and set IMAGE_REGISTRY to it, such as "
            "registry.example.com/team. For a cluster of its own on this machine, unset KUBECONFIG."
        )
    programs = {name: _program(name) for name in ("kubectl", "helm")}
    return Target(programs, {"image.registry": registry})


def _program(name: str) -> str:
    return shutil.which(name) or str(binaries.directory() / name)
