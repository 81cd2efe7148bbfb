"""What a leaf Secret holds: as it is stored, and as it is to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from mtls_operator.api import names
from mtls_operator.pki.bundle import decode_anchors
from mtls_operator.reconcile.ports import Object
from mtls_server.contract import CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS

MAX_REASON = 1024
"""Most characters of the annotation that says why; longer ones are not ours."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a leaf Secret holds: chain and key as PEM, and the leaf itself."""

    chain: bytes
    key: bytes
    leaf: x509.Certificate
    duration: str
    """How many seconds it was made for."""
    requested: str
    """The request for re-issue that it was made under."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A Secret as observed, its data decoded once."""

    observed: Object
    data: Mapping[str, bytes] = field(default_factory=dict)

    def annotation(self, name: str) -> str:
        """Return an annotation, empty where there is none."""
        return str((self.observed["metadata"].get("annotations") or {}).get(name, ""))

    @property
    def reason(self) -> str:
        """Why it was last written; what nobody of ours wrote is not told on."""
        reason = self.annotation(names.ANNOTATION_REASON)
        word, _, _ = reason.partition(": ")
        return reason if word.isalpha() and len(reason) <= MAX_REASON else "Unknown: it was altered"

    @property
    def material(self) -> Material:
        """Return what it holds; only of one whose certificate could be read."""
        chain = self.data[CERTIFICATE]
        return Material(
            chain=chain,
            key=self.data[PRIVATE_KEY],
            leaf=x509.load_pem_x509_certificate(chain),
            duration=self.annotation(names.ANNOTATION_DURATION),
            requested=self.annotation(names.ANNOTATION_REISSUE),
        )

    @property
    def anchors(self) -> frozenset[x509.Certificate]:
        """Return the certificates of its bundle; none where that can not be read."""
        try:
            return frozenset(decode_anchors(self.data.get(TRUST_ANCHORS, b"")))
        except ValueError:
            return frozenset()
