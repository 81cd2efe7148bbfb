from collections.abc import Iterable

import pytest

from mtls_operator.api.settings import Settings
from mtls_operator.cluster.preflight import permissions
from tests.unit.chart.rendering import NAMESPACE, Object, render

Right = tuple[str | None, str, str, str]
"""Namespace (None is all), API group, resource, verb."""


def granted(objects: list[Object]) -> set[Right]:
    """Return all that the operator's account is granted."""
    roles = {
        (o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): o["rules"]
        for o in objects
        if o["kind"] in {"Role", "ClusterRole"}
    }
    rights = set()
    for binding in (o for o in objects if o["kind"] in {"RoleBinding", "ClusterRoleBinding"}):
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "mtls-operator", "namespace": NAMESPACE}
        ]
        namespace = binding["metadata"].get("namespace")
        rights |= set(
            _rights(namespace, roles[binding["roleRef"]["kind"], namespace, binding["roleRef"]["name"]])
        )
    return rights


def _rights(namespace: str | None, rules: list[Object]) -> Iterable[Right]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield namespace, group, resource, verb


def needed(settings: Settings) -> set[Right]:
    """Return all that the operator asks for at its start."""
    rights = set()
    for permission in permissions(settings):
        group = permission.resource.api_version.rpartition("/")[0]
        resource = "/".join(filter(None, (permission.resource.plural, permission.subresource)))
        rights |= {(permission.namespace, group, resource, verb) for verb in permission.verbs}
    return rights


BEYOND_THE_PREFLIGHT = {
    (None, "coordination.k8s.io", "leases", "get"),
    (None, "authorization.k8s.io", "selfsubjectaccessreviews", "create"),
}
"""The operator works without: they tell it of other installations, and are mostly everybody's."""


@pytest.mark.parametrize("namespaces", [(), ("shop", "bank")])
def test_what_the_operator_asks_for_is_granted(namespaces: tuple[str, ...]) -> None:
    settings = Settings(namespace=NAMESPACE, server_image="server:1", watched_namespaces=namespaces)

    watched = [f"watchNamespaces[{index}]={name}" for index, name in enumerate(namespaces)]
    rights = granted(render(*watched))

    everywhere = {(settings.namespace, *right[1:]) for right in rights if right[0] is None}
    assert needed(settings) <= rights | everywhere


def test_nothing_is_granted_in_all_namespaces_where_some_are_named() -> None:
    rights = granted(render("watchNamespaces={shop,bank}"))

    assert {right for right in rights if right[0] is None} == BEYOND_THE_PREFLIGHT
    assert {right[0] for right in rights} == {None, NAMESPACE, "shop", "bank"}


def test_no_wildcard_is_granted_and_nothing_that_grants_more() -> None:
    rights = granted(render())

    assert not {right for right in rights if "*" in right}
    assert not {right for right in rights if right[1] == "rbac.authorization.k8s.io"}
    assert not {
        right for right in rights if right[3] in {"bind", "escalate", "impersonate", "deletecollection"}
    }


def test_people_of_the_cluster_may_view_and_edit_services_and_clients() -> None:
    roles = {o["metadata"]["name"]: o for o in render() if o["kind"] == "ClusterRole"}

    view, edit = roles["mtls-operator.mtls-system.view"], roles["mtls-operator.mtls-system.edit"]

    assert set(_verbs(view)) == {"get", "list", "watch"}
    assert set(_verbs(edit)) == {"create", "update", "patch", "delete", "deletecollection"}
    for role in (view, edit):
        assert {"mtlsservices", "mtlsclients"} <= set(role["rules"][0]["resources"])
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]


def _verbs(role: Object) -> Iterable[str]:
    return (verb for rule in role["rules"] for verb in rule["verbs"])
