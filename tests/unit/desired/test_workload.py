from pathlib import Path

import pytest
import yaml

from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService
from mtls_operator.desired.workload import workload
from tests.unit.desired.builders import SETTINGS, Object, service

GOLDEN = Path(__file__).parent / "golden"


def kinds(**spec: object) -> list[str]:
    return [desired["kind"] for desired in workload(service(**spec), SETTINGS)]


def only(kind: str, settings: Settings = SETTINGS, **spec: object) -> Object:
    (found,) = [desired for desired in workload(service(**spec), settings) if desired["kind"] == kind]
    return found


def without_digest(desired: Object) -> Object:
    del desired["metadata"]["annotations"]["mtls-operator.io/desired"]
    if not desired["metadata"]["annotations"]:
        del desired["metadata"]["annotations"]
    return desired


@pytest.mark.parametrize("name", ["minimal", "full"])
def test_objects_follow_from_the_service(name: str) -> None:
    given = MTLSService.model_validate(yaml.safe_load((GOLDEN / f"{name}.in.yaml").read_text()))
    expected = list(yaml.safe_load_all((GOLDEN / f"{name}.out.yaml").read_text()))

    assert [without_digest(desired) for desired in workload(given, SETTINGS)] == expected


def test_the_deployment_comes_last() -> None:
    assert kinds() == ["ServiceAccount", "Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment"]


def test_nothing_runs_where_the_user_runs_the_server() -> None:
    assert kinds(backend={"none": {}}) == []


def test_the_network_policy_can_be_left_out() -> None:
    assert "NetworkPolicy" not in kinds(networkPolicy={"enabled": False})


def test_monitoring_reaches_the_admin_port_as_the_operator_does() -> None:
    settings = Settings(namespace="mtls-system", server_image="s:1", monitoring_namespaces=("monitoring",))

    _, observers = only("NetworkPolicy", settings)["spec"]["ingress"]

    assert observers == {
        "ports": [{"port": 8081, "protocol": "TCP"}],
        "from": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
            for name in ("mtls-system", "monitoring")
        ],
    }


def test_callers_can_be_narrowed_and_ports_added() -> None:
    peer = {"podSelector": {"matchLabels": {"app": "billing"}}, "namespaceSelector": {}}
    block = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}

    callers = only(
        "NetworkPolicy",
        networkPolicy={"from": [peer, block], "extraPorts": [{"port": 9090, "protocol": "UDP"}]},
    )["spec"]["ingress"][0]

    assert callers == {
        "ports": [{"port": 8443, "protocol": "TCP"}, {"port": 9090, "protocol": "UDP"}],
        "from": [peer, block],
    }


def test_no_annotation_of_the_users_takes_the_place_of_our_digest() -> None:
    forged = {"mtls-operator.io/desired": "forged"}

    annotations = only("Service", service={"annotations": forged})["metadata"]["annotations"]

    assert annotations["mtls-operator.io/desired"] != "forged"
