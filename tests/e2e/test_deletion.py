"""What goes with a service, and what stays: nothing hangs, and no authority of a living service is lost."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from tests.cluster import control_plane
from tests.cluster.kubectl import Kubectl
from tests.cluster.layout import Cluster
from tests.e2e import etcd
from tests.e2e.audit import Audit
from tests.e2e.installation import CRD, Operator
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import MTLS_SERVICE, SECRET, WORKLOAD, Object
from tests.e2e.waiting import holds_for, until
from tests.e2e.witness import Witness

pytestmark = pytest.mark.e2e

GRACE = 5.0
SWEPT = GRACE + 10.0
"""Seconds within which an orphaned authority is marked, spared for the grace, and deleted."""
CLIENTS = [{"name": "billing"}]


@pytest.fixture(scope="module", autouse=True)
def staying(shared_namespace: Namespace) -> None:
    """A service that stays: a list without any makes the sweep doubt for half a minute."""
    shared_namespace.apply_ready(mtls_service("staying", shared_namespace.name, backend={"none": {}}))


def test_everything_goes_with_the_service_and_its_authority_after_the_grace(
    namespace: Namespace, operator: Operator
) -> None:
    service = namespace.apply_ready(mtls_service("passing", namespace.name, replicas=1, clients=CLIENTS))

    namespace.kubectl("delete", "mtlsservice", "passing", f"--namespace={namespace.name}")

    holds_for("its authority is spared", partial(operator.has_authority, service), seconds=GRACE - 1)
    until("its authority is gone", lambda: not operator.has_authority(service), seconds=SWEPT)
    until("all it owned is gone", lambda: not owned(namespace, service), seconds=30)


def owned(namespace: Namespace, service: Object) -> list[str]:
    return [
        f"{kind} {found['metadata']['name']}"
        for kind in (SECRET, *WORKLOAD)
        for found in namespace.reader.find_all(kind, namespace.name)
        if service["metadata"]["uid"]
        in [owner["uid"] for owner in found["metadata"].get("ownerReferences", [])]
    ]


def test_a_namespace_goes_while_the_operator_is_away_and_its_authority_on_the_return(
    namespace: Namespace, operator: Operator
) -> None:
    service = namespace.apply_ready(mtls_service("passing", namespace.name, replicas=1, clients=CLIENTS))
    operator.stop()
    try:
        namespace.kubectl("delete", "namespace", namespace.name, "--timeout=60s")
        assert operator.has_authority(service)
    finally:
        operator.start()
    until(
        "its authority is gone",
        lambda: not operator.has_authority(service),
        seconds=SWEPT,
    )


@pytest.fixture
def second_operator(operator: Operator) -> Iterator[Operator]:
    """Another installation in the same cluster; both care for all namespaces."""
    second = Operator(operator.kubectl, operator.reader, namespace="mtls-second")
    second.install(**{"crds.enabled": "false"})
    yield second
    second.uninstall()


def test_two_installations_never_both_write_and_a_lost_crd_costs_no_authority(
    namespace: Namespace, operator: Operator, second_operator: Operator, cluster: Cluster, witness: Witness
) -> None:
    operators = operator, second_operator
    names = [f"shared-{number}" for number in range(6)]
    manifests = [mtls_service(name, namespace.name, replicas=0, clients=CLIENTS) for name in names]

    audit = Audit(cluster.audit_log)
    namespace.kubectl.apply(*manifests)
    services = [namespace.ready(name, seconds=60) for name in names]
    assert_one_writer_each(audit, operators, namespace)

    with crd_lost(namespace.kubectl):
        control_plane.stop_apiserver(cluster)
        control_plane.start(cluster)
    audit = Audit(cluster.audit_log)
    apply_once_served(namespace.kubectl, manifests)
    successors = [namespace.ready(name, seconds=60) for name in names]
    assert_one_writer_each(audit, operators, namespace)

    gone = {service["metadata"]["uid"] for service in services}
    assert not gone & {service["metadata"]["uid"] for service in successors}
    until(
        "the authorities of the former services are swept",
        lambda: not any(has_authority(operators, service) for service in services),
        seconds=SWEPT,
    )
    for service in successors:
        assert_never_lost_or_altered(witness, operators, service)


def test_services_that_are_invisible_for_a_while_keep_their_authorities(
    namespace: Namespace, operator: Operator, cluster: Cluster, witness: Witness
) -> None:
    """The kind is not served for longer than the grace; then the very same objects are there again."""
    until(
        "all services of former tests are gone",
        lambda: not namespace.reader.find_all(MTLS_SERVICE),
        seconds=60,
    )
    names = [f"hidden-{number}" for number in range(3)]
    namespace.kubectl.apply(
        *(mtls_service(name, namespace.name, replicas=0, clients=CLIENTS) for name in names)
    )
    services = [namespace.ready(name) for name in names]
    crd = json.loads(namespace.kubectl("get", "crd", CRD, "--output=json"))
    before = [operator.reader.data(operator.namespace, operator.authority(service)) for service in services]

    control_plane.stop_apiserver(cluster)
    etcd.delete(cluster, f"/registry/apiextensions.k8s.io/customresourcedefinitions/{CRD}")
    control_plane.start(cluster)
    time.sleep(SWEPT)
    namespace.kubectl.create(as_new(crd))

    assert [namespace.ready(name, seconds=60)["metadata"]["uid"] for name in names] == [
        service["metadata"]["uid"] for service in services
    ]
    time.sleep(SWEPT)
    after = [operator.reader.data(operator.namespace, operator.authority(service)) for service in services]
    assert after == before
    for service in services:
        assert_never_lost_or_altered(witness, [operator], service)


@contextmanager
def crd_lost(kubectl: Kubectl) -> Iterator[None]:
    """Delete the CRD, and all services with it; make it again in the end, without them."""
    crd = json.loads(kubectl("get", "crd", CRD, "--output=json"))
    kubectl("delete", "crd", CRD, "--timeout=60s")
    yield
    kubectl.create(as_new(crd))


def as_new(observed: Object) -> Object:
    kept = {key: observed["metadata"][key] for key in ("name", "labels", "annotations")}
    return {**{key: observed[key] for key in ("apiVersion", "kind", "spec")}, "metadata": kept}


def apply_once_served(kubectl: Kubectl, manifests: list[Object]) -> None:
    kubectl("wait", f"crd/{CRD}", "--for=condition=Established", "--timeout=30s")
    kubectl.apply(*manifests)


def has_authority(operators: Iterable[Operator], service: Object) -> bool:
    return any(operator.has_authority(service) for operator in operators)


def assert_one_writer_each(audit: Audit, operators: Sequence[Operator], namespace: Namespace) -> None:
    """No object was written by more than one installation since."""
    writers: dict[tuple[str, str], set[str]] = {}
    for operator in operators:
        for write in audit.writes(operator.account, namespace.name):
            if write.code < 300 and write.resource != "events":
                resource = write.resource.partition("/")[0]
                writers.setdefault((resource, write.name), set()).add(operator.account)
    assert writers
    assert all(len(accounts) == 1 for accounts in writers.values()), writers


def assert_never_lost_or_altered(witness: Witness, operators: Sequence[Operator], service: Object) -> None:
    """One Secret, made once, holds the authorities of this service, with the keys that it began with."""
    versions = witness.authorities[operators[0].authority(service)]
    assert len({version["metadata"]["uid"] for version in versions}) == 1
    assert "DELETED" not in {version["change"] for version in versions}
    assert all(version["data"] == versions[0]["data"] for version in versions)
