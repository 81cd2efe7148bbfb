"""What the API server answers to our reads and writes, and what we make of it."""

import base64

import pytest

from mtls_operator.cluster import client as client_module
from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.transport import Transport
from mtls_operator.reconcile.ports import (
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    AlreadyExistsError,
    ConflictError,
    Object,
    Ref,
    RefusedError,
    Resource,
    UnavailableError,
)
from tests.cluster.kubectl import Kubectl

pytestmark = pytest.mark.apiserver

UNSERVED = Resource("apps/v9", "Deployment", "deployments")


def secret(namespace: str, name: str = "leaf", **metadata: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"tls.key": base64.b64encode(b"precious").decode()},
    }


def account(namespace: str, **metadata: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "orders", "namespace": namespace, **metadata},
        "automountServiceAccountToken": False,
    }


def pod(namespace: str) -> Object:
    container = {"name": "c", "image": "none", "resources": {"requests": {"cpu": "1"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "orders-0", "namespace": namespace},
        "spec": {"containers": [container]},
    }


async def test_what_was_created_is_read_back(client: ApiClient, kubectl: Kubectl, namespace: str) -> None:
    created = await client.create(SECRET, secret(namespace))

    assert await client.get(Ref(SECRET, namespace, "leaf")) == created
    stored = kubectl.get("secret", "leaf", "-n", namespace, "--show-managed-fields")
    assert stored == created
    assert [entry["manager"] for entry in created["metadata"]["managedFields"]] == ["mtls-operator"]


async def test_create_never_overwrites(client: ApiClient, namespace: str) -> None:
    await client.create(SECRET, secret(namespace))

    with pytest.raises(AlreadyExistsError, match=f"Secret {namespace}/leaf: HTTP 409 AlreadyExists"):
        await client.create(SECRET, secret(namespace))


async def test_an_absent_object_is_none(client: ApiClient, namespace: str) -> None:
    assert await client.get(Ref(SECRET, namespace, "leaf")) is None


async def test_an_unserved_kind_is_no_absent_object(client: ApiClient, namespace: str) -> None:
    with pytest.raises(UnavailableError, match="not served"):
        await client.get(Ref(UNSERVED, namespace, "orders"))


async def test_replace_needs_the_newest_version(client: ApiClient, namespace: str) -> None:
    first = await client.create(SECRET, secret(namespace))
    await client.replace(SECRET, {**first, "data": {}})

    with pytest.raises(ConflictError):
        await client.replace(SECRET, first)


async def test_replace_of_a_vanished_object_creates_nothing(client: ApiClient, namespace: str) -> None:
    first = await client.create(SECRET, secret(namespace))
    await client.delete(
        Ref(SECRET, namespace, "leaf"), first["metadata"]["uid"], first["metadata"]["resourceVersion"]
    )

    with pytest.raises(ConflictError):
        await client.replace(SECRET, first)
    assert await client.get(Ref(SECRET, namespace, "leaf")) is None


async def test_apply_of_version_1_creates_only(client: ApiClient, namespace: str) -> None:
    created = await client.apply(SERVICE_ACCOUNT, account(namespace, resourceVersion="1"))
    assert created["automountServiceAccountToken"] is False

    with pytest.raises(AlreadyExistsError):
        await client.apply(SERVICE_ACCOUNT, account(namespace, resourceVersion="1"))


async def test_apply_needs_the_newest_version(client: ApiClient, namespace: str) -> None:
    first = await client.apply(SERVICE_ACCOUNT, account(namespace, resourceVersion="1"))
    version = first["metadata"]["resourceVersion"]
    await client.apply(
        SERVICE_ACCOUNT, account(namespace, resourceVersion=version, labels={"somebody": "else"})
    )

    with pytest.raises(ConflictError):
        await client.apply(SERVICE_ACCOUNT, account(namespace, resourceVersion=version))


async def test_apply_with_uid_does_not_revive_a_vanished_object(client: ApiClient, namespace: str) -> None:
    first = await client.apply(SERVICE_ACCOUNT, account(namespace, resourceVersion="1"))
    version, uid = first["metadata"]["resourceVersion"], first["metadata"]["uid"]
    ref = Ref(SERVICE_ACCOUNT, namespace, "orders")
    await client.delete(ref, uid, version)

    with pytest.raises(ConflictError):
        await client.apply(SERVICE_ACCOUNT, account(namespace, resourceVersion=version, uid=uid))
    assert await client.get(ref) is None


async def test_annotate_touches_that_pod_alone(client: ApiClient, namespace: str) -> None:
    created = await client.create(POD, pod(namespace))
    ref = Ref(POD, namespace, "orders-0")

    touched = await client.annotate(ref, created["metadata"]["uid"], {"a": "1"})
    assert touched["metadata"]["annotations"] == {"a": "1"}

    with pytest.raises(ConflictError):
        await client.annotate(ref, "11111111-2222-3333-4444-555555555555", {"a": "2"})
    with pytest.raises(ConflictError):
        await client.annotate(ref._replace(name="orders-1"), created["metadata"]["uid"], {"a": "2"})
    found = await client.get(ref)
    assert found is not None
    assert found["metadata"]["annotations"] == {"a": "1"}


async def test_delete_honours_both_preconditions(client: ApiClient, namespace: str) -> None:
    first = await client.create(SECRET, secret(namespace))
    ref, uid = Ref(SECRET, namespace, "leaf"), first["metadata"]["uid"]
    second = await client.replace(SECRET, {**first, "data": {}})

    with pytest.raises(ConflictError):
        await client.delete(ref, uid, first["metadata"]["resourceVersion"])
    with pytest.raises(ConflictError):
        await client.delete(
            ref, "11111111-2222-3333-4444-555555555555", second["metadata"]["resourceVersion"]
        )
    await client.delete(ref, uid, second["metadata"]["resourceVersion"])
    await client.delete(ref, uid, second["metadata"]["resourceVersion"])
    assert await client.get(ref) is None


async def test_a_refusal_says_why_but_nothing_of_a_secret(client: ApiClient, namespace: str) -> None:
    body = secret(namespace) | {"data": {"key of precious": "cHJlY2lvdXM=", "b": "precious!"}}
    with pytest.raises(RefusedError) as refused:
        await client.create(SECRET, body)
    assert str(refused.value) == f"Secret {namespace}/leaf: HTTP 400 BadRequest"

    wrong = secret(namespace) | {"type": "kubernetes.io/tls"}
    with pytest.raises(RefusedError) as refused:
        await client.create(SECRET, wrong)
    assert str(refused.value) == f"Secret {namespace}/leaf: HTTP 422 Invalid in data[tls.crt]"

    with pytest.raises(RefusedError, match="a valid label must"):
        await client.create(SERVICE_ACCOUNT, account(namespace, labels={"x": "?"}))


async def test_a_missing_namespace_is_trouble_to_be_waited_for(client: ApiClient) -> None:
    with pytest.raises(UnavailableError, match="not found"):
        await client.create(SERVICE_ACCOUNT, account("nowhere"))


async def test_lists_come_whole_in_chunks(
    client: ApiClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_CHUNK", "2")
    for number in range(5):
        await client.create(SECRET, secret(namespace, f"leaf-{number}", labels={"ours": ""}))
    await client.create(SECRET, secret(namespace, "foreign"))

    listed = await client.list(SECRET, namespace, "ours")

    assert [item["metadata"]["name"] for item in listed] == [f"leaf-{number}" for number in range(5)]
    assert {(item["apiVersion"], item["kind"]) for item in listed} == {("v1", "Secret")}
    assert all(item["data"] for item in listed)


async def test_a_list_of_metadata_carries_no_contents(client: ApiClient, namespace: str) -> None:
    created = await client.create(SECRET, secret(namespace))

    (listed,) = await client.list(SECRET, namespace, metadata_only=True)

    assert listed["metadata"]["uid"] == created["metadata"]["uid"]
    assert listed["kind"] == "Secret"
    assert "data" not in listed


@pytest.mark.parametrize("metadata_only", [False, True])
async def test_an_empty_list(client: ApiClient, namespace: str, *, metadata_only: bool) -> None:
    assert await client.list(SECRET, namespace, metadata_only=metadata_only) == []


async def test_a_list_of_every_namespace(client: ApiClient, namespace: str) -> None:
    await client.create(SECRET, secret(namespace, labels={"test": namespace}))

    assert len(await client.list(SECRET, label_selector=f"test={namespace}")) == 1


async def test_the_guard_stops_every_write_and_no_read(transport: Transport, namespace: str) -> None:
    def guard() -> None:
        raise UnavailableError("not the leader")

    free, guarded = ApiClient(transport), ApiClient(transport, guard)
    created = await free.create(SECRET, secret(namespace))
    ref, metadata = Ref(SECRET, namespace, "leaf"), created["metadata"]

    for write in (
        guarded.create(SECRET, secret(namespace, "other")),
        guarded.replace(SECRET, {**created, "data": {}}),
        guarded.apply(SECRET, secret(namespace, "other")),
        guarded.apply_status(SECRET, secret(namespace)),
        guarded.annotate(ref, metadata["uid"], {"a": "1"}),
        guarded.delete(ref, metadata["uid"], metadata["resourceVersion"]),
    ):
        with pytest.raises(UnavailableError, match="not the leader"):
            await write
    assert await guarded.get(ref) == created
    assert len(await guarded.list(SECRET, namespace)) == 1
