"""The kopf handlers: each hands its event on, and does nothing else."""

from typing import Any

import kopf

from mtls_operator.api.settings import Settings
from mtls_operator.reconcile.ports import Object, Resource
from mtls_operator.reconcile.watched import LISTED, WATCHED, Sink, namespaces

from .login import Login


def build_registry(settings: Settings, sink: Sink) -> kopf.OperatorRegistry:
    """Return the handlers of everything watched; ``sink`` is called on kopf's own thread."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(id="login", registry=registry)(Login().connect)
    for watched in WATCHED:
        _forward(registry, settings, watched.resource, sink)
    return registry


def group_version_plural(resource: Resource) -> tuple[str, str, str]:
    """Return what kopf selects a kind by."""
    group, _, version = resource.api_version.rpartition("/")
    return group, version, resource.plural


def _forward(registry: kopf.OperatorRegistry, settings: Settings, resource: Resource, sink: Sink) -> None:
    scope = namespaces(settings, resource)

    async def forward(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401 - kopf passes a dozen views
        body: Object = dict(event["object"])
        if None in scope or body["metadata"]["namespace"] in scope:
            sink(event["type"] or LISTED, resource, body)

    kopf.on.event(*group_version_plural(resource), id=resource.plural, registry=registry)(forward)
