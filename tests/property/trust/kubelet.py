"""Pods as kubelet keeps them: each mounts the server Secret as it was some time ago."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from cryptography import x509

from mtls_operator.reconcile.ports import Object
from mtls_server import contract
from mtls_server.contract import LeafState, ReloadState, State

SYNC_PERIOD = timedelta(seconds=60)
"""How long kubelet leaves a changed Secret by itself."""


@dataclass(frozen=True)
class Delivery:
    """The files of one version of the server Secret."""

    files: Mapping[str, bytes]

    @classmethod
    def of(cls, secret: Object) -> "Delivery":
        return cls({name: base64.b64decode(value) for name, value in secret["data"].items()})

    @cached_property
    def digest(self) -> str:
        return contract.digest(self.files)

    @cached_property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.files["tls.crt"])

    @cached_property
    def anchors(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.files["ca.crt"])

    @cached_property
    def own_sources(self) -> tuple[str, ...]:
        return self.policy.sources[contract.OWN_SOURCE]

    @cached_property
    def policy(self) -> contract.Policy:
        return contract.decode_policy(self.files["policy.json"])


@dataclass
class Pod:
    """One pod of the server: what it mounts, and when it mounts the next."""

    name: str
    mounted: Delivery
    template: str
    """Which template of the Deployment it was made of."""
    lag: timedelta = timedelta(seconds=1)
    """From a touch to the sync."""
    held: bool = False
    """Whether kubelet never syncs it."""
    reachable: bool = True
    behind: bool = False
    """Whether it started with an old Secret, or could not be asked, and has mounted none since."""
    generation: int = 1
    syncs_at: datetime | None = None
    body: Object = field(default_factory=dict)

    @property
    def uid(self) -> str:
        return f"uid-{self.name}"

    def touch(self, now: datetime) -> None:
        self._sync_within(now + self.lag)

    def notice(self, now: datetime) -> None:
        """The Secret changed: kubelet comes by in its own time."""
        self._sync_within(now + SYNC_PERIOD)

    def _sync_within(self, moment: datetime) -> None:
        self.syncs_at = moment if self.syncs_at is None else min(self.syncs_at, moment)

    def mount(self, newest: Delivery | None, now: datetime) -> None:
        if self.syncs_at is None or now < self.syncs_at:
            return
        self.syncs_at = None
        if newest is None or self.held:
            return
        if newest.digest != self.mounted.digest:
            self.generation += 1
        self.mounted = newest
        self.behind = False

    def state(self) -> State:
        delivery = self.mounted
        return State(
            version="1",
            generation=self.generation,
            digest=delivery.digest,
            policy_digest="",
            leaf=LeafState(f"{delivery.leaf.serial_number:x}", ""),
            anchors=tuple(_key_id(anchor) for anchor in delivery.anchors),
            last_reload=ReloadState("ok"),
        )


def _key_id(anchor: x509.Certificate) -> str:
    return anchor.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
