import subprocess
import tomllib
from datetime import timedelta

import pytest
import yaml

from mtls_operator.api.settings import Settings
from mtls_operator.options import parse
from tests.cluster import binaries
from tests.unit.chart.rendering import BASE, CHART, NAMESPACE, ROOT, Object, base, find, helm, refusal, render

CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def names(objects: list[Object], kinds: set[str]) -> set[tuple[str, str]]:
    return {(o["kind"], o["metadata"]["name"]) for o in objects if o["kind"] in kinds}


def container(*values: str) -> Object:
    (only,) = find(render(*values), "Deployment")["spec"]["template"]["spec"]["containers"]
    operator: Object = only
    return operator


def arguments(*values: str) -> list[str]:
    args: list[str] = container(*values)["args"]
    return args


def test_helm_finds_no_fault() -> None:
    result = helm("lint", "--strict", CHART)

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["version"] == chart["appVersion"] == project["version"]


@pytest.mark.parametrize("plural", ["mtlsservices", "mtlsclients"])
def test_the_crds_are_the_generated_ones_and_outlive_the_release(plural: str) -> None:
    expected = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())

    crd = find(render(), "CustomResourceDefinition", f"{plural}.mtls-operator.io")

    assert crd["spec"] == expected["spec"]
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_crds_can_go_with_the_release_or_be_left_to_others() -> None:
    crd = find(render("crds.keep=false"), "CustomResourceDefinition", "mtlsservices.mtls-operator.io")

    assert "helm.sh/resource-policy" not in crd["metadata"].get("annotations", {})
    assert "CustomResourceDefinition" not in {o["kind"] for o in render("crds.enabled=false")}


def test_the_operator_is_told_what_it_needs_to_know() -> None:
    assert arguments() == [
        "--namespace=$(POD_NAMESPACE)",
        "--instance=mtls-operator",
        "--server-image=localhost/mtls-server:0.1.0",
        "--image-pull-policy=IfNotPresent",
        "--cluster-domain=cluster.local",
        "--sweep-interval=1m",
        "--sweep-grace=1h",
        "--log-format=json",
        "--log-level=INFO",
    ]


def test_the_operator_understands_what_the_values_say() -> None:
    args = arguments(
        "image.registry=registry.example.com/team",
        "image.server.pullPolicy=Always",
        "imagePullSecrets={one,two}",
        "clusterDomain=example.org",
        "watchNamespaces={shop,bank}",
        "monitoringNamespaces={monitoring}",
        "sweep.interval=5s",
        "sweep.grace=10s",
        "logLevel=DEBUG",
    )

    options = parse([argument.replace("$(POD_NAMESPACE)", NAMESPACE) for argument in args])

    assert options.settings == Settings(
        namespace=NAMESPACE,
        instance="mtls-operator",
        server_image="registry.example.com/team/mtls-server:0.1.0",
        image_pull_policy="Always",
        image_pull_secrets=("one", "two"),
        cluster_domain="example.org",
        watched_namespaces=("shop", "bank"),
        monitoring_namespaces=("monitoring",),
        sweep_interval=timedelta(seconds=5),
        sweep_grace=timedelta(seconds=10),
    )
    assert options.admin_port == admin_port()
    assert (options.log_format, options.log_level) == ("json", "DEBUG")


def admin_port() -> int:
    (port,) = container()["ports"]
    assert port["name"] == "admin"
    number: int = port["containerPort"]
    return number


def test_a_digest_wins_over_the_tag() -> None:
    digest = "sha256:" + "0" * 64

    image = container(f"image.operator.digest={digest}", "image.operator.tag=x")["image"]

    assert image == f"localhost/mtls-operator@{digest}"


def test_two_installations_share_nothing_outside_their_namespaces() -> None:
    one, other = render(namespace="one"), render(namespace="other")

    assert names(one, CLUSTER_SCOPED)
    assert not names(one, CLUSTER_SCOPED) & names(other, CLUSTER_SCOPED)


def test_everything_else_lies_in_the_namespace_of_the_release() -> None:
    namespaced = [o for o in render("crds.enabled=false", namespace="one") if o["kind"] not in CLUSTER_SCOPED]

    assert {o["metadata"]["namespace"] for o in namespaced} == {"one"}


def test_monitoring_alone_reaches_the_admin_port_when_that_is_wanted() -> None:
    policy = find(render("networkPolicy.enabled=true", "monitoringNamespaces={monitoring}"), "NetworkPolicy")

    (rule,) = policy["spec"]["ingress"]
    assert rule["ports"] == [{"port": "admin", "protocol": "TCP"}]
    assert rule["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["monitoring"]


def test_nobody_reaches_the_admin_port_where_nobody_monitors() -> None:
    assert "ingress" not in find(render("networkPolicy.enabled=true"), "NetworkPolicy")["spec"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("watchNamespaces={mtls-system}", "install the operator into a namespace of its own"),
        ("watchNamespace={shop}", "watchNamespace"),
        ("image.operator.digest=latest", "/image/operator/digest"),
        ("sweep.grace=1d", "/sweep/grace"),
        ("image.server.pullPolicy=Sometimes", "/image/server/pullPolicy"),
        ("clusterDomain=", "/clusterDomain"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values: str, sentence: str) -> None:
    assert sentence in refusal(values)


def test_the_kustomize_base_is_the_default_rendering() -> None:
    assert BASE.read_text() == base(), "run: make manifests"


def test_kustomize_builds_the_base_with_namespace_and_crds() -> None:
    command = [str(binaries.directory() / "kubectl"), "kustomize", str(BASE.parent)]
    built = yaml.safe_load_all(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)

    rendered = render()
    expected = {(o["kind"], o["metadata"]["name"]) for o in rendered} | {("Namespace", "mtls-system")}
    assert {(o["kind"], o["metadata"]["name"]) for o in built} == expected


def test_the_sample_is_the_example_of_the_chart() -> None:
    sample = yaml.safe_load((ROOT / "deploy" / "samples" / "orders.yaml").read_text())
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]

    assert yaml.safe_load(annotations["artifacthub.io/crdsExamples"]) == [sample]


def test_the_chart_lists_every_kind_that_it_brings() -> None:
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    listed = {crd["name"] for crd in yaml.safe_load(annotations["artifacthub.io/crds"])}

    definitions = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("mtls*.yaml")]
    assert listed == {definition["metadata"]["name"] for definition in definitions}
