"""Decide about the leaf Secrets: the server's and each client's."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from mtls_operator.pki.authority import Authority, is_issued_by
from mtls_operator.pki.bundle import decode_anchors, decode_bundle, encode_bundle
from mtls_operator.pki.entropy import Entropy
from mtls_operator.pki.keys import encode_key
from mtls_operator.pki.leaf import issue_leaf
from mtls_operator.pki.renewal import last_moment, succession_time
from mtls_operator.reconcile.ownership import Ownership, is_going, made_by_us, ownership
from mtls_operator.reconcile.plan import Create, Delete, Plan, Problem, Replace, name_taken
from mtls_operator.reconcile.ports import SECRET, Ref
from mtls_operator.reconcile.secrets import decode_data, differences, merged
from mtls_operator.reconcile.world import World
from mtls_server.contract import TRUST_ANCHORS

from .causes import (
    AUTHORITY_LOST,
    CONTENTS_CHANGED,
    MISSING,
    STILL_SERVING,
    TRUST_CHANGED,
    Cause,
    find_cause,
    is_succession,
    notice_of,
    requested,
)
from .leaf_secrets import leaf_secret, renewal_time_of
from .material import MAX_REASON, Material, Stored
from .wanted import WantedLeaf

CANNOT_ISSUE = "CannotIssue"


@dataclass(frozen=True, slots=True)
class LeafReport:
    """What status says of one leaf Secret; without dates where there is none of ours."""

    secret_name: str
    client: str | None
    caller: Ref | None = None
    """The MTLSClient whose Secret it is."""
    serial: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    renewal_time: datetime | None = None
    reason: str = ""
    problem: Problem | None = None


def decide_leaf(
    world: World, wanted: WantedLeaf, entropy: Entropy, *, may_issue: bool = True
) -> tuple[LeafReport, Plan]:
    """Re-issue the leaf if a check says so, mend what else differs, or leave everything as it is.

    Args:
        world: where its Secret is, or is missing.
        wanted: the leaf as the spec asks for it.
        entropy: source of its key and serial.
        may_issue: false: a later pass will.
    """
    observed = world.secrets.get(wanted.ref)
    owner = wanted.caller or world.service
    if wanted.ref in world.taken or (observed and ownership(observed, owner) is Ownership.FOREIGN):
        taken = name_taken(wanted.ref, world.now)
        return LeafReport(wanted.ref.name, wanted.client, problem=taken.problems[0]), taken
    stored = Stored(observed, decode_data(observed)) if observed else None
    return _decide_ours(world, wanted, stored, entropy, may_issue=may_issue)


def _decide_ours(
    world: World, wanted: WantedLeaf, stored: Stored | None, entropy: Entropy, *, may_issue: bool
) -> tuple[LeafReport, Plan]:
    signer = wanted.generations.signing or wanted.generations.next
    if signer is None:
        return _cannot_issue(wanted, f"there is no {wanted.generations.role} authority that could sign")
    cause = find_cause(world, wanted, signer, stored)
    if stored is not None and cause is None:
        return _keep(world, wanted, stored, may_write=may_issue)
    cause = cause or MISSING
    if wanted.generations.signing is None and not _is_ending(world, wanted, stored, cause):
        return _wait_for_authority(world, wanted, stored, cause, may_write=may_issue)
    if not may_issue:
        return _report_until_written(world, wanted, stored, cause), Plan(more=True)
    try:
        material = _issue(world, wanted, signer, entropy)
    except ValueError as error:
        return _cannot_issue(wanted, str(error))
    return _write(world, wanted, stored, material, cause)


def decide_obsolete(world: World, wanted: Collection[Ref]) -> Plan:
    """Delete Secrets of ours that the spec no longer asks for."""
    writes = []
    for ref, observed in world.secrets.items():
        ours = made_by_us(observed) and ownership(observed, world.service) is Ownership.OURS
        if ref in wanted or not ours or is_going(observed):
            continue
        metadata = observed["metadata"]
        writes.append(Delete(ref, metadata["uid"], metadata["resourceVersion"]))
    return Plan(writes=tuple(writes))


def _keep(world: World, wanted: WantedLeaf, stored: Stored, *, may_write: bool) -> tuple[LeafReport, Plan]:
    """Keep the leaf, and mend what is around it."""
    material = _with_intermediates(wanted, stored.material)
    body = leaf_secret(world, wanted, material, stored, stored.reason)
    changed = differences(body, stored.observed)
    if changed:
        rotated = TRUST_ANCHORS in changed and stored.anchors & set(decode_anchors(wanted.anchors))
        reason = TRUST_CHANGED if rotated else CONTENTS_CHANGED
        cause = Cause(reason, f"{', '.join(changed)} differed from what is wanted")
        if not may_write:
            return _report_until_written(world, wanted, stored, cause), Plan(more=True)
        return _write(world, wanted, stored, material, cause)
    return _report(world, wanted, material.leaf, stored.reason), Plan(
        problems=(wanted.problem,) if wanted.problem else (), wake=_next_look(world, wanted, material.leaf)
    )


def _write(
    world: World, wanted: WantedLeaf, stored: Stored | None, material: Material, cause: Cause
) -> tuple[LeafReport, Plan]:
    reason = f"{cause.reason}: {cause.message}"[:MAX_REASON]
    body = leaf_secret(world, wanted, material, stored, reason)
    notice = notice_of(world, wanted, stored, cause)
    write = Replace(SECRET, merged(body, stored.observed), notice) if stored else Create(SECRET, body, notice)
    return _report_until_written(world, wanted, stored, cause), Plan(writes=(write,))


def _cannot_issue(wanted: WantedLeaf, why: str) -> tuple[LeafReport, Plan]:
    problem = Problem(CANNOT_ISSUE, why)
    return LeafReport(wanted.ref.name, wanted.client, problem=problem), Plan(problems=(problem,))


def _issue(world: World, wanted: WantedLeaf, signer: Authority, entropy: Entropy) -> Material:
    leaf = issue_leaf(
        signer, wanted.profile, wanted.duration, world.now, entropy, not_before=wanted.not_before
    )
    return Material(
        chain=encode_bundle([leaf.certificate, *signer.intermediates]),
        key=encode_key(leaf.key),
        leaf=leaf.certificate,
        duration=str(int(wanted.duration.total_seconds())),
        requested=requested(world),
    )


def _with_intermediates(wanted: WantedLeaf, material: Material) -> Material:
    """Show what lies between leaf and root as it is now: a CA of the user's own may get a new certificate."""
    signing = wanted.generations.signing
    leaf, *shown = decode_bundle(material.chain)
    if signing is None or tuple(shown) == signing.intermediates:
        return material
    if not is_issued_by(leaf, signing.certificate):
        return material
    return replace(material, chain=encode_bundle([leaf, *signing.intermediates]))


def _is_ending(world: World, wanted: WantedLeaf, stored: Stored | None, cause: Cause) -> bool:
    """Whether a leaf whose authority is lost would end before another one is trusted."""
    if stored is None or cause.reason not in {*STILL_SERVING, "Expired"}:
        return False
    return world.now >= last_moment(stored.material.leaf, wanted.duration)


def _wait_for_authority(
    world: World, wanted: WantedLeaf, stored: Stored | None, cause: Cause, *, may_write: bool
) -> tuple[LeafReport, Plan]:
    """Sign nothing, as nobody trusts yet who would; what serves goes on."""
    if stored is None or cause.reason not in STILL_SERVING:
        why = f"the {wanted.generations.role} authority is lost, and its successor is not trusted yet"
        problem = Problem(AUTHORITY_LOST, f"{why}: {cause.message}")
        return LeafReport(wanted.ref.name, wanted.client, problem=problem), Plan()
    report, plan = _keep(world, wanted, stored, may_write=may_write)
    return report, plan + Plan(wake=last_moment(stored.material.leaf, wanted.duration))


def _next_look(world: World, wanted: WantedLeaf, leaf: x509.Certificate) -> datetime | None:
    """When this leaf is due; one that is due but can not outlive itself is looked at again at its end."""
    generations = wanted.generations
    moments = [renewal_time_of(world, wanted, leaf), leaf.not_valid_after_utc]
    if generations.was_signed_before(leaf):
        uid = world.service.metadata.uid
        moments.append(succession_time(leaf, generations.since, generations.longest, uid))
    return min((moment for moment in moments if moment > world.now), default=None)


def _report_until_written(
    world: World, wanted: WantedLeaf, stored: Stored | None, cause: Cause
) -> LeafReport:
    """Report what is stored: the write may be refused."""
    if stored and (cause.reason in STILL_SERVING or is_succession(wanted, stored, cause)):
        return _report(world, wanted, stored.material.leaf, stored.reason)
    return LeafReport(wanted.ref.name, wanted.client, problem=Problem(*cause))


def _report(world: World, wanted: WantedLeaf, leaf: x509.Certificate, reason: str) -> LeafReport:
    return LeafReport(
        secret_name=wanted.ref.name,
        client=wanted.client,
        serial=f"{leaf.serial_number:x}",
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        renewal_time=renewal_time_of(world, wanted, leaf),
        reason=reason,
    )
