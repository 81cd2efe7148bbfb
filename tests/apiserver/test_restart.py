"""Workloads of a user's are restarted on a real API server: by one annotation, once for each change."""

from collections.abc import Callable

import pytest

from mtls_operator.api import names
from mtls_operator.cluster.client import ApiClient
from mtls_operator.reconcile.plan import Restart
from mtls_operator.reconcile.ports import (
    DAEMON_SET,
    DEPLOYMENT,
    STATEFUL_SET,
    ConflictError,
    Object,
    Ref,
    RefusedError,
    Resource,
)
from mtls_operator.reconcile.roll import roll

pytestmark = pytest.mark.apiserver

KINDS = pytest.mark.parametrize(
    "resource", [DEPLOYMENT, STATEFUL_SET, DAEMON_SET], ids=lambda resource: resource.kind
)


@pytest.fixture
def workload(exists: Callable[[Object], Object], namespace: str, resource: Resource) -> Ref:
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels, "annotations": {"example.org/theirs": "kept"}},
        "spec": {"containers": [{"name": "web", "image": "localhost/web"}]},
    }
    spec: Object = {"selector": {"matchLabels": labels}, "template": template}
    if resource == STATEFUL_SET:
        spec["serviceName"] = "web"
    metadata = {"name": "web", "namespace": namespace}
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
    exists(body)
    return Ref(resource, namespace, "web")


async def spec_of(client: ApiClient, ref: Ref) -> Object:
    found = await client.get(ref)
    assert found is not None
    spec: Object = found["spec"]
    return spec


@KINDS
async def test_it_is_restarted_once_for_each_change_and_else_left_alone(
    client: ApiClient, workload: Ref
) -> None:
    before = await spec_of(client, workload)
    assert [await roll(client, Restart(workload, value, ())) for value in ("a1", "a1", "b2")] == [
        True,
        False,
        True,
    ]
    after = await spec_of(client, workload)
    annotations = after["template"]["metadata"]["annotations"]
    assert annotations == {"example.org/theirs": "kept", names.ANNOTATION_RESTARTED_FOR: "b2"}
    del annotations[names.ANNOTATION_RESTARTED_FOR]
    assert after == before


@KINDS
async def test_one_that_is_missing_or_was_replaced_is_not_restarted(client: ApiClient, workload: Ref) -> None:
    with pytest.raises(RefusedError, match="create it, or take it out of restart"):
        await roll(client, Restart(workload._replace(name="wbe"), "a1", ()))
    with pytest.raises(ConflictError):
        await client.annotate_template(workload, "11111111-2222-3333-4444-555555555555", {"a": "1"})
