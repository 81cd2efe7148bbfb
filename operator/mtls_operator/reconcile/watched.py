"""What is watched: kinds, and which of their objects concern us."""

from collections.abc import Callable
from typing import Final, NamedTuple

from mtls_operator.api import names
from mtls_operator.api.settings import Settings

from .ports import CONFIG_MAP, MTLSCLIENT, MTLSSERVICE, POD, SECRET, WORKLOAD, Object, Resource

LISTED: Final = "LISTED"
"""Beside the API's ADDED, MODIFIED and DELETED: part of the listing with which a watch begins."""

Sink = Callable[[str, Resource, Object], None]
"""Takes one event: its type, the kind, and the object."""


class Watched(NamedTuple):
    """A kind, and the label that its objects carry when they concern us."""

    resource: Resource
    label: str = ""
    """Empty: every object of the kind."""
    value: str = ""
    """Empty: any value."""

    @property
    def selector(self) -> str:
        """Return it as a label selector of the Kubernetes API."""
        return f"{self.label}={self.value}" if self.value else self.label

    def admits(self, body: Object) -> bool:
        """Say whether the object is selected."""
        labels = body["metadata"].get("labels") or {}
        return not self.label or (
            self.label in labels and (not self.value or labels[self.label] == self.value)
        )


WATCHED: Final = (
    Watched(MTLSSERVICE),
    Watched(MTLSCLIENT),
    Watched(SECRET, names.LABEL_USE),
    Watched(CONFIG_MAP, names.LABEL_USE),
    *(Watched(resource, names.LABEL_MANAGED_BY, names.MANAGED_BY) for resource in (*WORKLOAD, POD)),
)


def namespaces(settings: Settings, resource: Resource) -> tuple[str | None, ...]:
    """Return the namespaces in which objects of this kind concern us; None is every namespace.

    In namespaced mode the operator's own namespace counts for Secrets alone: there are the authorities.
    """
    if not settings.watched_namespaces:
        return (None,)
    if resource == SECRET:
        return (*settings.watched_namespaces, settings.namespace)
    return settings.watched_namespaces
