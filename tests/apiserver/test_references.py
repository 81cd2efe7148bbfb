"""Nobody has the operator do what they may not do themselves: the policy for whoever writes our kinds."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from mtls_operator.reconcile.ports import Object
from tests.apiserver.installation import Account, Operator, until
from tests.cluster.kubectl import Kubectl

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("operator")]

Right = tuple[str, str, str]
"""Verb, resource with its API group, and name; an empty name is all of them."""
Spec = dict[str, Any]

GET_CA: Right = ("get", "secrets", "our-ca")
PATCH_SHOP: Right = ("patch", "deployments.apps", "shop")
SERVICE_REF = {"name": "orders", "namespace": "shop"}


@pytest.fixture(scope="module", autouse=True)
def in_effect(kubectl: Kubectl, operator: Operator) -> None:
    """Policies take effect a moment after they are made."""
    somebody = user(kubectl, operator.namespace)
    wrong = mtlsservice(operator.namespace, **authority(server="our-ca"))
    until(lambda: refusal(GET_CA, operator.namespace) in somebody.creates(wrong))


@pytest.fixture
def writer(kubectl: Kubectl, namespace: str) -> Callable[..., Account]:
    """Make a user who may write our kinds in the namespace, and has these rights beside."""
    return partial(user, kubectl, namespace)


def user(kubectl: Kubectl, namespace: str, *rights: Right) -> Account:
    name, where = f"user-{uuid4().hex[:8]}", f"--namespace={namespace}"
    ours = ("get,create,update,patch", "mtlsservices.mtls-operator.io,mtlsclients.mtls-operator.io", "")
    for number, (verb, resource, of) in enumerate((ours, *rights)):
        role = f"{name}-{number}"
        named = [f"--resource-name={of}"] if of else []
        kubectl.run("create", "role", role, f"--verb={verb}", f"--resource={resource}", *named, where)
        kubectl.run("create", "rolebinding", role, f"--role={role}", f"--user={name}", where)
    return Account(kubectl, name)


def mtlsservice(namespace: str, **spec: Any) -> Object:
    return _object("MTLSService", namespace, spec)


def mtlsclient(namespace: str, **spec: Any) -> Object:
    return _object("MTLSClient", namespace, {"serviceRef": SERVICE_REF, "secretName": "orders-tls"} | spec)


def _object(kind: str, namespace: str, spec: Spec) -> Object:
    return {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "orders", "namespace": namespace},
        "spec": spec,
    }


def password(name: str) -> Spec:
    return {"formats": [{"type": "PKCS12", "passwordSecretRef": {"name": name, "key": "password"}}]}


def restart(kind: str, *names: str) -> Spec:
    return {"restart": [{"kind": kind, "name": name} for name in names]}


def trust(kind: str, name: str) -> Spec:
    return {"trust": [{"name": "partner", kind: {"name": name, "key": "ca.crt"}}]}


def client(**fields: Any) -> Spec:
    return {"clients": [{"name": "billing"} | fields]}


def authority(**roles: str) -> Spec:
    return {"authority": {role: {"secretRef": {"name": name}} for role, name in roles.items()}}


NONE: Spec = {"backend": {"none": {}}}
REFERENCES: list[tuple[Callable[..., Object], Spec, Right]] = [
    (mtlsservice, authority(server="our-ca"), GET_CA),
    (mtlsservice, authority(client="our-ca"), GET_CA),
    (mtlsservice, trust("secretRef", "our-ca"), GET_CA),
    (mtlsservice, trust("configMapRef", "partner"), ("get", "configmaps", "partner")),
    (mtlsservice, client(**password("p12")), ("get", "secrets", "p12")),
    (mtlsservice, client(**restart("Deployment", "shop")), PATCH_SHOP),
    (mtlsservice, NONE | restart("Deployment", "shop"), PATCH_SHOP),
    (mtlsservice, NONE | restart("StatefulSet", "shop"), ("patch", "statefulsets.apps", "shop")),
    (mtlsservice, NONE | restart("DaemonSet", "shop"), ("patch", "daemonsets.apps", "shop")),
    (mtlsclient, password("p12"), ("get", "secrets", "p12")),
    (mtlsclient, restart("Deployment", "shop"), PATCH_SHOP),
]
EACH = pytest.mark.parametrize(
    ("make", "spec", "right"),
    REFERENCES,
    ids=[f"{make.__name__}: {' '.join(right)} {list(spec)[-1]}" for make, spec, right in REFERENCES],
)


def refusal(right: Right, namespace: str) -> str:
    verb, resource, name = right
    return (
        f"You may not {verb} {resource.removesuffix('.apps')} {name} in namespace {namespace}, so the"
        " operator does not do it for you; remove the reference, or have somebody write it who may"
    )


@EACH
def test_whoever_has_the_right_to_it_may_refer_to_it(
    writer: Callable[..., Account], namespace: str, make: Callable[..., Object], spec: Spec, right: Right
) -> None:
    verb, resource, _ = right

    assert writer(right).creates(make(namespace, **spec)) == ""
    assert writer((verb, resource, "")).creates(make(namespace, **spec)) == ""


@EACH
def test_whoever_has_another_right_is_told_which_is_missing(
    writer: Callable[..., Account], namespace: str, make: Callable[..., Object], spec: Spec, right: Right
) -> None:
    verb, resource, _ = right
    other = (verb, resource, "other")
    weaker = ({"get": "list", "patch": "get"}[verb], resource, "")

    assert refusal(right, namespace) in writer(other, weaker).creates(make(namespace, **spec))


def test_only_what_is_new_is_judged(
    writer: Callable[..., Account], namespace: str, exists: Callable[[Object], Object]
) -> None:
    old = authority(server="our-ca", client="our-ca") | NONE | restart("Deployment", "shop")
    exists(mtlsservice(namespace, **old))
    nobody = writer()
    added = {"metadata": {"labels": {"team": "shop"}}, "spec": {"clients": [{"name": "billing"}]}}

    assert nobody.patches(mtlsservice(namespace), added) == ""
    assert (
        nobody.patches(mtlsservice(namespace), {"spec": {"authority": {"client": {"secretRef": None}}}}) == ""
    )
    more = nobody.patches(mtlsservice(namespace), {"spec": restart("Deployment", "shop", "admin")})
    assert refusal(("patch", "deployments.apps", "admin"), namespace) in more
    other = nobody.patches(mtlsservice(namespace), {"spec": authority(server="their-ca")})
    assert refusal(("get", "secrets", "their-ca"), namespace) in other


def test_many_references_need_a_right_to_all(writer: Callable[..., Account], namespace: str) -> None:
    names = [f"w{number}" for number in range(9)]
    by_name = [("patch", "deployments.apps", name) for name in names]
    nine = mtlsclient(namespace, **restart("Deployment", *names))
    eight = mtlsclient(namespace, **restart("Deployment", *names[:8]))
    account = writer(*by_name)

    assert account.creates(eight) == ""
    assert "add at most 8 references at a time" in account.creates(nine)
    assert writer(("patch", "deployments.apps", "")).creates(nine) == ""
    assert refusal(by_name[7], namespace) in writer(*by_name[:7]).creates(eight)


def test_a_thousand_clients_with_references_are_judged_in_time(
    writer: Callable[..., Account], namespace: str, exists: Callable[[Object], Object]
) -> None:
    """The API server bounds what a policy may cost, and refuses what exceeds it."""
    clients = [{"name": f"c{number}"} | restart("Deployment", f"w{number}") for number in range(999)]
    billing = {"name": "billing"} | restart("Deployment", "shop")
    everything, nothing = writer(("patch", "deployments.apps", "")), writer()
    assert everything.creates(mtlsservice(namespace, clients=clients)) == ""

    exists(mtlsservice(namespace, clients=clients))
    assert everything.replaces(mtlsservice(namespace, clients=[billing, *clients[1:]])) == ""
    assert nothing.replaces(mtlsservice(namespace, clients=[*clients, {"name": "billing"}])) == ""


def test_one_reference_among_a_thousand_clients_is_found(
    writer: Callable[..., Account], namespace: str
) -> None:
    clients = [{"name": f"c{number}", "roles": ["reader"]} for number in range(999)]
    last = {"name": "billing"} | restart("Deployment", "shop")

    assert writer(PATCH_SHOP).creates(mtlsservice(namespace, clients=[*clients, last])) == ""
    assert refusal(PATCH_SHOP, namespace) in writer().creates(
        mtlsservice(namespace, clients=[*clients, last])
    )
