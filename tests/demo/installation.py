"""The operator from its chart, and the sample that it turns into a service."""

import json
from pathlib import Path

from tests.cluster.progress import step
from tests.demo import telling
from tests.demo.target import Target

SOURCE = Path(__file__).parents[2]
CHART = SOURCE / "helm/mtls-operator"
SAMPLE = SOURCE / "deploy/samples/orders.yaml"
RELEASE = "mtls-operator"
NAMESPACE = "mtls-demo"
SERVICE = "orders"
CLIENT = "billing"
IN_NAMESPACE = f"--namespace={NAMESPACE}"

_INTERRUPTED = f"owner=helm,name={RELEASE},status in (pending-install,pending-upgrade,pending-rollback)"


def install_operator(target: Target) -> None:
    settings = [f"--set-string={name}={value}" for name, value in target.settings.items()]
    where = [f"--namespace={RELEASE}", "--create-namespace"]
    command = ["upgrade", "--install", RELEASE, _relative(CHART), *where, *settings, "--wait", "--timeout=3m"]
    # Helm refuses to go on from an interrupted run; to forget that run touches nothing that it installed.
    target.kubectl("delete", "secret", f"--namespace={RELEASE}", f"--selector={_INTERRUPTED}")
    telling.command(["helm", *command])
    with step("Waiting until the operator is ready"):
        remedy = f"See why: kubectl --namespace={RELEASE} describe pods"
        target.run("helm", *command, "--reset-then-reuse-values", remedy=remedy)


def apply_sample(target: Target) -> None:
    """Apply the sample in a namespace of its own, where nothing is left of an earlier run."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": labels},
    }
    target.kubectl("apply", "--filename=-", stdin=json.dumps(namespace))
    with step("Clearing away what an earlier run left"):
        target.kubectl(
            *("delete", f"mtls/{SERVICE}", f"pod/{CLIENT}", IN_NAMESPACE),
            *("--ignore-not-found", "--cascade=foreground", "--timeout=90s"),
        )
    apply = ["apply", IN_NAMESPACE, f"--filename={_relative(SAMPLE)}"]
    wait = ["wait", IN_NAMESPACE, "--for=condition=Ready", f"mtls/{SERVICE}", "--timeout=120s"]
    telling.command(["kubectl", *apply])
    telling.say(target.kubectl(*apply).strip())
    telling.command(["kubectl", *wait])
    with step("Waiting until the service is ready"):
        target.kubectl(*wait, remedy=f"See why: kubectl {IN_NAMESPACE} describe mtls,pods")
    show = ["get", "mtls,secrets,services,pods", IN_NAMESPACE]
    telling.command(["kubectl", *show])
    telling.say(target.kubectl(*show).strip())


def _relative(path: Path) -> str:
    return str(path.relative_to(SOURCE))
