"""A thousand leaves that are due at one instant are issued again, and the API server meets no herd."""

from collections import Counter

import pytest

from mtls_operator.reconcile.pace import BURST, RATE
from tests.cluster.layout import Cluster
from tests.e2e.audit import Audit
from tests.e2e.figures import Figures
from tests.e2e.installation import Operator
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import SECRET
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

NAME = "crowded"
CLIENTS = 1000
REISSUE = "mtls-operator.io/reissue"
AT_MOST_SECONDS = 120


def test_a_thousand_leaves_due_at_once_are_no_herd(
    namespace: Namespace, operator: Operator, cluster: Cluster, figures: Figures
) -> None:
    clients = [{"name": f"client-{number}"} for number in range(CLIENTS)]
    crowded = mtls_service(NAME, namespace.name, backend={"none": {}}, clients=clients)
    namespace.kubectl.create(crowded)
    namespace.ready(NAME, seconds=AT_MOST_SECONDS)

    audit = Audit(cluster.audit_log)
    where = f"--namespace={namespace.name}"
    namespace.kubectl("annotate", f"mtls/{NAME}", where, f"{REISSUE}=all")
    until("every leaf is new", lambda: reissued(namespace) == CLIENTS + 1, seconds=AT_MOST_SECONDS, every=1)

    requests = audit.requests(operator.account)
    a_second = Counter(request.second for request in requests)
    written = [request for request in requests if (request.verb, request.resource) == ("update", "secrets")]
    assert CLIENTS < len(written) <= CLIENTS + 4
    secrets_a_second = Counter(request.second for request in written)
    assert max(secrets_a_second.values()) <= RATE + BURST
    figures.record("1,000 leaves due at once: requests in all", len(requests), "requests")
    figures.record("1,000 leaves due at once: most in a second", max(a_second.values()), "")
    most = max(secrets_a_second.values())
    figures.record("1,000 leaves due at once: Secrets in a second", most, "", RATE + BURST)
    figures.record("1,000 leaves due at once: seconds until all are new", len(a_second), "s")
    print("requests of the operator in each second:", *(a_second[second] for second in sorted(a_second)))


def reissued(namespace: Namespace) -> int:
    """Count the Secrets that were issued under the request."""
    secrets = namespace.reader.find_all(SECRET, namespace.name)
    return sum(secret["metadata"].get("annotations", {}).get(REISSUE) == "all" for secret in secrets)
