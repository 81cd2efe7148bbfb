"""Missing rights and kinds are named; Events are found by people."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mtls_operator.api.settings import Settings
from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.events import EventRecorder
from mtls_operator.cluster.preflight import missing, permissions, unserved
from mtls_operator.cluster.transport import Transport
from mtls_operator.reconcile.ports import SECRET, SERVICE_ACCOUNT, Object, Resource
from tests.cluster.kubectl import Kubectl

pytestmark = pytest.mark.apiserver

ACCOUNT = "system:serviceaccount:{}:operator"


@asynccontextmanager
async def as_account(transport: Transport, namespace: str) -> AsyncIterator[ApiClient]:
    """Act as a ServiceAccount that nobody granted anything."""
    transport._raw.set_default_header("Impersonate-User", ACCOUNT.format(namespace))
    yield ApiClient(transport)
    del transport._raw.default_headers["Impersonate-User"]


async def test_nothing_is_missing_for_an_administrator(client: ApiClient) -> None:
    assert await missing(client, permissions(Settings("mtls-system", "image"))) == []


async def test_each_missing_verb_is_one_sentence(
    transport: Transport, kubectl: Kubectl, namespace: str
) -> None:
    rules = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "operator", "namespace": namespace},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "verbs": ["get", "list", "watch", "create", "patch", "delete"],
            },
            {"apiGroups": ["mtls-operator.io"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": ["policy", "networking.k8s.io"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["*"], "verbs": ["*"]},
            {
                "apiGroups": [""],
                "resources": ["pods", "configmaps", "services", "serviceaccounts", "events"],
                "verbs": ["*"],
            },
        ],
    }
    kubectl.run("create", "--filename=-", stdin=rules)
    binding = (f"--serviceaccount={namespace}:operator", "--role=operator", f"--namespace={namespace}")
    kubectl.run("create", "rolebinding", "operator", *binding)
    settings = Settings(namespace, "image", watched_namespaces=(namespace,))

    async with as_account(transport, namespace) as client:
        sentences = await missing(client, permissions(settings))

    (sentence,) = set(sentences)
    assert sentence == (
        f'The operator\'s ServiceAccount may not "update" secrets in namespace {namespace}; '
        "grant it by a Role or ClusterRole"
    )


async def test_kinds_that_are_not_served_are_named(transport: Transport) -> None:
    nowhere = Resource("example.org/v1", "Nothing", "nothings")
    odd = Resource("v1", "Nothing", "nothings")
    assert await unserved(transport, [SECRET]) == []
    assert await unserved(transport, [SECRET, nowhere, odd]) == [
        "nothings of v1 are not served here; install their CustomResourceDefinition",
        "nothings of example.org/v1 are not served here; install their CustomResourceDefinition",
    ]


async def test_an_event_is_counted_where_one_of_its_name_exists(
    client: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    metadata = {"name": "orders", "namespace": namespace}
    created = await client.create(
        SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    )

    for process in ("first", "second"):
        recorder = EventRecorder(client, process)
        posting = asyncio.create_task(recorder.run())
        for _ in range(3):
            recorder.record(created, "Warning", "Lost", "The account is lost.")
        await posted(kubectl, namespace, {"first": 1, "second": 2}[process])
        posting.cancel()

    described = kubectl.run("describe", "serviceaccount", "orders", "-n", namespace).stdout
    assert "The account is lost." in described


async def posted(kubectl: Kubectl, namespace: str, count: int) -> None:
    for _ in range(50):
        events = kubectl.get("events", "-n", namespace) or {"items": []}
        lost: list[Object] = [event for event in events["items"] if event["reason"] == "Lost"]
        assert len(lost) <= 1
        if lost and lost[0]["count"] == count:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the Event is not there")
