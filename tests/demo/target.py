"""Which cluster the demonstration runs on: one of its own, or the one that KUBECONFIG names."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import binaries, cache, images, layout, lifecycle, node
from tests.cluster.errors import ClusterError
from tests.demo import telling

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

    def run(self, program: str, *arguments: str, stdin: str = "", remedy: str = "") -> str:
        """Run kubectl or helm and return what it printed.

        Raises:
            ClusterError: it failed; says which command, its own words, and the remedy.
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
            failure = f"`{program} {' '.join(arguments)}` failed:\n{result.stderr.strip()}"
            raise ClusterError(f"{failure}\n{remedy}" if remedy else failure)
        return result.stdout

    def kubectl(self, *arguments: str, stdin: str = "", remedy: str = "") -> str:
        return self.run("kubectl", *arguments, stdin=stdin, remedy=remedy)

    def version(self) -> str:
        """Return the version of Kubernetes, and so tell that it answers."""
        remedy = "Let KUBECONFIG name a cluster that answers, or unset it for one on this machine."
        answer = json.loads(self.kubectl("version", "--output=json", remedy=remedy))
        return str(answer["serverVersion"]["gitVersion"])


def choose() -> Target:
    """Return the cluster to use, started if it is our own, with images that it finds.

    Raises:
        ClusterError: KUBECONFIG names it, and IMAGE_REGISTRY does not say where the images are.
    """
    if not is_given():
        return _own()
    registry = os.environ.get("IMAGE_REGISTRY")
    if not registry:
        raise ClusterError(
            "KUBECONFIG is set, so the demonstration goes to that cluster, which must find the images: "
            "push what `make images` builds to a registry and set IMAGE_REGISTRY to it, such as "
            "registry.example.com/team. For a cluster of its own on this machine, unset KUBECONFIG."
        )
    return given({"image.registry": registry})


def given(settings: Mapping[str, str] | None = None) -> Target:
    """Return the cluster that KUBECONFIG names."""
    return Target({name: _program(name) for name in ("kubectl", "helm")}, settings or {})


def is_given() -> bool:
    """Tell whether KUBECONFIG names a cluster, and not merely our own one."""
    given, own = os.environ.get("KUBECONFIG"), layout.find(CLUSTER)
    return bool(given) and not (own and Path(str(given)).absolute() == own.kubeconfig)


def remove() -> None:
    lifecycle.down(CLUSTER)


def _own() -> Target:
    if os.geteuid() != 0:
        raise ClusterError(
            "A cluster on this machine needs root: run `sudo make demo`, or set KUBECONFIG to another one."
        )
    if not any((cache.root() / "binaries").glob("*/kubectl")):
        telling.say("Kubernetes is built from its sources, but once: ten to twenty minutes on two cores.")
    cluster = lifecycle.up(CLUSTER)
    archives = images.archives()
    node.load(cluster, *archives)
    programs = {name: str(binaries.directory() / name) for name in ("kubectl", "helm")}
    # The tag stays the same, so it is this annotation that makes a new build of the operator start.
    built = {"podAnnotations.demo-build": archives[0].parent.name}
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    return Target(programs, built, cluster.kubeconfig, environment)


def _program(name: str) -> str:
    return shutil.which(name) or str(binaries.directory() / name)
