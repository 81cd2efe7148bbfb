"""What only the operator's process knows of a service: found out anew when it starts."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from mtls_operator.api.types import MTLSClient

from .ownership import Owner
from .ports import Ref
from .world import Delivery, Refused, Rolled


class Taken(NamedTuple):
    """A name that is not ours."""

    seen: datetime
    """When that was last seen."""
    wanted_by: Owner


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of one service."""

    deliveries: dict[str, Delivery] = field(default_factory=dict)
    """Pod UID to delivery."""
    taken: dict[Ref, Taken] = field(default_factory=dict)
    refused: dict[Ref, Refused] = field(default_factory=dict)
    """Secret of an MTLSClient to why it could not be written."""
    live: set[Ref] = field(default_factory=set)
    """What was read live in this pass."""
    clients: dict[tuple[str, str], MTLSClient] = field(default_factory=dict)
    """UID and resourceVersion to MTLSClient: there may be many, of namespaces that nobody consents to."""
    rolled: dict[Ref, Rolled] = field(default_factory=dict)
    """Workload of ``restart`` to what came of the last look at it."""
    unchanged: dict[Ref, str] = field(default_factory=dict)
    """Object to the resourceVersion at which applying what is wanted changed nothing."""
