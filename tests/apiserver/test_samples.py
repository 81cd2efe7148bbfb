"""The samples, and the commands of the documentation, as the API server takes them."""

import re
import subprocess
from pathlib import Path

import pytest

from mtls_operator.api import names
from mtls_operator.policies.authority import CHAIN, MAKE, MAKE_BELOW
from tests.cluster import binaries
from tests.cluster.kubectl import Kubectl

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "deploy" / "samples").glob("*.yaml"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_each_sample_is_taken(sample: Path, kubectl: Kubectl, namespace: str) -> None:
    applied = kubectl.run("apply", "--namespace", namespace, "--filename", str(sample))
    assert applied.stdout.endswith("created\n")
    assert applied.stderr == ""


@pytest.mark.parametrize(
    "making",
    [MAKE, f"{MAKE.replace('tls.', 'root.').replace(',pathlen:0', '')} && {MAKE_BELOW} && {CHAIN}"],
    ids=["self-signed", "below a root"],
)
def test_the_documented_commands_give_a_service_a_ca_of_its_own(
    making: str, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    kubectl.run("apply", "--namespace", namespace, "--filename", str(SAMPLES[0].with_name("orders.yaml")))
    _shell(making, tmp_path, kubectl, namespace)
    section = (ROOT / "docs" / "operations.md").read_text().partition("## Your own CA")[2]
    commands = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[2]
    _shell(commands, tmp_path, kubectl, namespace)
    secret = kubectl.get("secret", "orders-client-ca", "--namespace", namespace)
    service = kubectl.get("mtls", "orders", "--namespace", namespace)
    assert secret is not None
    assert service is not None
    assert (secret["type"], secret["metadata"]["labels"]) == (
        "kubernetes.io/tls",
        {names.LABEL_USE: names.USE_AUTHORITY},
    )
    assert service["spec"]["authority"] == {"client": {"secretRef": {"name": "orders-client-ca"}}}


def _shell(commands: str, directory: Path, kubectl: Kubectl, namespace: str) -> None:
    """Run commands as they are written, kubectl with this cluster and namespace."""
    program = f"{binaries.directory()}/kubectl --kubeconfig {kubectl.kubeconfig} --namespace {namespace}"
    script = re.sub(r"^kubectl\b", program, commands, flags=re.MULTILINE)
    subprocess.run(["sh", "-ec", script], cwd=directory, check=True, capture_output=True, timeout=60)
