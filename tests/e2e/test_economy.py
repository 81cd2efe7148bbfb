"""The operator writes what is needed and nothing else, as the API server's audit log proves."""

import time
from collections import Counter

import pytest

from tests.cluster.layout import Cluster
from tests.e2e.audit import Audit, Request, count
from tests.e2e.figures import Figures
from tests.e2e.installation import Operator
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import Object
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

SERVICES = 50
SETTLED = 6.0
"""Seconds in which everything that follows from a change has happened."""


def test_an_operator_that_restarts_among_fifty_services_writes_nothing(
    namespace: Namespace, operator: Operator, cluster: Cluster
) -> None:
    services = [mtls_service(f"s{number}", namespace.name, **spec(number)) for number in range(SERVICES)]
    namespace.kubectl.apply(*services)
    for service in services:
        namespace.ready(service["metadata"]["name"], seconds=120)
    time.sleep(SETTLED)

    operator.stop()
    audit = Audit(cluster.audit_log)
    operator.start()
    until("the operator leads", operator.leads, seconds=30)
    time.sleep(SETTLED)

    assert audit.writes(operator.account) == []


def spec(number: int) -> dict[str, object]:
    """Mix certificates only, servers that are scaled to nothing, and some that run."""
    clients = [{"name": "billing"}]
    if number % 10 == 0:
        return {"clients": clients, "replicas": 1}
    if number % 3 == 0:
        return {"clients": clients, "replicas": 0}
    return {"clients": clients, "backend": {"none": {}}}


def test_a_rotation_costs_one_secret_one_status_and_one_touch_for_each_pod(
    namespace: Namespace, operator: Operator, cluster: Cluster, figures: Figures
) -> None:
    service = mtls_service(
        "thrifty", namespace.name, replicas=2, certificates={"duration": "60s"}, clients=[{"name": "billing"}]
    )
    first_issue = Audit(cluster.audit_log)
    service = namespace.apply_ready(service)
    time.sleep(SETTLED)
    authority = operator.authority(service)
    written = about(service, authority, first_issue.writes(operator.account))
    figures.record("API-server writes for one first issue (2 pods, 1 client)", len(written), "writes")

    audit = Audit(cluster.audit_log)
    serial = namespace.status("thrifty")["serverCertificate"]["serial"]

    def rotated() -> bool:
        return bool(namespace.status("thrifty")["serverCertificate"]["serial"] != serial)

    until("it is rotated", rotated, seconds=40)
    time.sleep(SETTLED)

    writes = about(service, authority, audit.writes(operator.account))
    assert count(writes) == Counter({"update secrets": 1, "patch mtlsservices/status": 1, "patch pods": 2}), [
        str(write) for write in writes
    ]
    others = [
        request for request in audit.requests(operator.account, namespace.name) if request not in writes
    ]
    assert [request for request in others if request.verb != "watch"] == []
    figures.record("API-server writes for one rotation (2 pods)", len(writes), "writes")


def about(service: Object, authority: str, requests: list[Request]) -> list[Request]:
    """Return the requests in the namespace of a service, and those for its authority."""
    namespace = service["metadata"]["namespace"]
    return [request for request in requests if namespace == request.namespace or authority == request.name]
