"""What must be true of the cluster before any work can succeed: kinds served, verbs granted."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from mtls_operator.api.settings import Settings
from mtls_operator.reconcile.ports import (
    CONFIG_MAP,
    DAEMON_SET,
    EVENT,
    MTLSCLIENT,
    MTLSSERVICE,
    POD,
    SECRET,
    STATEFUL_SET,
    WORKLOAD,
    Cluster,
    Resource,
    UnavailableError,
)
from mtls_operator.reconcile.watched import namespaces

from .failures import StatusError
from .lease import LEASE
from .transport import Request, Transport

_REVIEW: Final = Resource("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews")

_WATCH: Final = ("get", "list", "watch")
_APPLY: Final = (*_WATCH, "create", "patch")


class Permission(NamedTuple):
    """Verbs on a kind; None is every namespace."""

    resource: Resource
    verbs: tuple[str, ...]
    namespace: str | None
    subresource: str = ""


_IN_SCOPE: Final = (
    *((kind, _WATCH, "") for kind in (MTLSSERVICE, MTLSCLIENT)),
    *((kind, ("patch",), "status") for kind in (MTLSSERVICE, MTLSCLIENT)),
    (SECRET, (*_WATCH, "create", "update", "delete"), ""),
    (CONFIG_MAP, _WATCH, ""),
    *((kind, (*_APPLY, "delete"), "") for kind in WORKLOAD),
    *((kind, ("get", "patch"), "") for kind in (STATEFUL_SET, DAEMON_SET)),
    (POD, (*_WATCH, "patch"), ""),
    (EVENT, ("get", "create", "patch"), ""),
)


def permissions(settings: Settings) -> Iterator[Permission]:
    """Return all that the operator's ServiceAccount needs."""
    for resource, verbs, subresource in _IN_SCOPE:
        for namespace in namespaces(settings, resource):
            yield Permission(resource, verbs, namespace, subresource)
    yield Permission(SECRET, ("patch",), settings.namespace)
    yield Permission(LEASE, ("get", "create", "update"), settings.namespace)


async def missing(cluster: Cluster, needed: Iterable[Permission]) -> Sequence[str]:
    """Ask the API server about each verb.

    Returns:
        One sentence for each that is not granted.

    Raises:
        ClusterError: it cannot be asked.
    """
    questions = [(permission, verb) for permission in needed for verb in permission.verbs]
    answers = await asyncio.gather(*(_granted(cluster, *question) for question in questions))
    return [_sentence(*question) for question, granted in zip(questions, answers, strict=True) if not granted]


async def unserved(transport: Transport, resources: Iterable[Resource]) -> Sequence[str]:
    """Ask the API server which of these kinds it does not serve.

    Returns:
        One sentence for each.

    Raises:
        UnavailableError: it cannot be asked.
    """
    wanted: dict[str, list[Resource]] = {}
    for resource in resources:
        wanted.setdefault(resource.api_version, []).append(resource)
    sentences = []
    for version, kinds in wanted.items():
        served = await _plurals(transport, version)
        sentences += [
            f"{kind.plural} of {version} are not served here; install their CustomResourceDefinition"
            for kind in kinds
            if kind.plural not in served
        ]
    return sentences


async def _plurals(transport: Transport, version: str) -> set[str]:
    root = "/apis" if "/" in version else "/api"
    try:
        found = await transport.send(Request("GET", f"{root}/{version}"))
    except StatusError as failed:
        if failed.code == 404:
            return set()
        raise UnavailableError(f"{root}/{version}: {failed}", failed.retry_after) from None
    return {resource["name"] for resource in found["resources"]}


async def _granted(cluster: Cluster, permission: Permission, verb: str) -> bool:
    group, _, version = permission.resource.api_version.rpartition("/")
    attributes = {
        "verb": verb,
        "group": group,
        "version": version,
        "resource": permission.resource.plural,
        "subresource": permission.subresource,
        "namespace": permission.namespace or "",
    }
    review = {
        "apiVersion": _REVIEW.api_version,
        "kind": _REVIEW.kind,
        "spec": {"resourceAttributes": attributes},
    }
    answer = await cluster.create(_REVIEW, review)
    return bool(answer["status"]["allowed"])


def _sentence(permission: Permission, verb: str) -> str:
    group = permission.resource.api_version.rpartition("/")[0]
    kind = "/".join(filter(None, (permission.resource.plural, permission.subresource)))
    where = f"in namespace {permission.namespace}" if permission.namespace else "in all namespaces"
    what = f"{kind} of API group {group}" if group else kind
    return (
        f'The operator\'s ServiceAccount may not "{verb}" {what} {where}; grant it by a Role or ClusterRole'
    )
