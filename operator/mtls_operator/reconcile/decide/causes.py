"""Why a leaf Secret is written, and whether that is news."""

from typing import NamedTuple

from mtls_operator.api import names
from mtls_operator.pki.authority import Authority
from mtls_operator.policies.leaf import LeafInput, StoredLeaf, evaluate
from mtls_operator.reconcile.ownership import Ownership, ownership
from mtls_operator.reconcile.plan import Notice
from mtls_operator.reconcile.world import World
from mtls_server.contract import CERTIFICATE, PRIVATE_KEY

from .leaf_secrets import is_known
from .material import Stored
from .recovery import mark
from .wanted import WantedLeaf

CONTENTS_CHANGED = "ContentsChanged"
TRUST_CHANGED = "TrustChanged"
AUTHORITY_LOST = "AuthorityLost"
ROUTINE = frozenset({"RenewalDue", TRUST_CHANGED})
"""Reasons that make no Event: a write per renewal, for what status and log say anyway."""
STILL_SERVING = frozenset({"ProfileChanged", "Requested", "RenewalDue", CONTENTS_CHANGED, TRUST_CHANGED})
"""Reasons for a new leaf while the stored one is as good as ever to whoever verifies it."""


class Cause(NamedTuple):
    """Why a leaf Secret is written."""

    reason: str
    message: str


MISSING = Cause("Missing", "there is no such Secret")
TAKEN_OVER = Cause("TakenOver", "it was left by a former MTLSService of this name, whose keys are never used")


def find_cause(world: World, wanted: WantedLeaf, signer: Authority, stored: Stored | None) -> Cause | None:
    """Return why a new leaf is wanted, if one is."""
    if stored is not None and ownership(stored.observed, world.service) is Ownership.ABANDONED:
        return TAKEN_OVER
    generations = wanted.generations
    violation = evaluate(
        LeafInput(
            stored=StoredLeaf(
                certificate_pem=stored.data.get(CERTIFICATE, b""),
                key_pem=stored.data.get(PRIVATE_KEY, b""),
                duration=stored.annotation(names.ANNOTATION_DURATION) or None,
                requested=stored.annotation(names.ANNOTATION_REISSUE),
            )
            if stored
            else None,
            profile=wanted.profile,
            authority=signer,
            former=generations.former,
            since=generations.since if generations.signing else None,
            longest=generations.longest,
            not_before=wanted.not_before,
            duration=wanted.duration,
            renew_before=wanted.renew_before,
            requested=requested(world),
            uid=world.service.metadata.uid,
            now=world.now,
        )
    )
    return Cause(violation.reason, violation.message) if violation else None


def notice_of(world: World, wanted: WantedLeaf, stored: Stored | None, cause: Cause) -> Notice | None:
    """Return the Event that a write deserves, unless it is routine."""
    if wanted.generations.signing is None and cause.reason not in {CONTENTS_CHANGED, TRUST_CHANGED}:
        message = f"Secret {wanted.ref.name} was signed by an authority that not all trust yet, lest it end"
        return Notice("Warning", AUTHORITY_LOST, message)
    first_issue = cause.reason == MISSING.reason and not is_known(world, wanted)
    if first_issue or cause.reason in ROUTINE or is_succession(wanted, stored, cause):
        return None
    return Notice("Normal", cause.reason, f"Secret {wanted.ref.name} was written: {cause.message}")


def is_succession(wanted: WantedLeaf, stored: Stored | None, cause: Cause) -> bool:
    """Whether a leaf gives way to one of a new authority, which is told of once, not for each leaf."""
    if stored is None or cause.reason != "WrongAuthority":
        return False
    return wanted.generations.was_signed_before(stored.material.leaf)


def requested(world: World) -> str:
    """Return the request for new leaves that the service carries now, if any."""
    return mark(world.service.metadata.annotations.get(names.ANNOTATION_REISSUE, ""))
