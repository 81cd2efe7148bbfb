"""Decide about the leaf Secrets: the server's and each client's."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from cryptography import x509

from mtls_operator.api import names
from mtls_operator.desired import secrets
from mtls_operator.desired.metadata import held, kept
from mtls_operator.pki.authority import Authority, is_issued_by
from mtls_operator.pki.bundle import decode_anchors, decode_bundle, encode_bundle
from mtls_operator.pki.entropy import Entropy
from mtls_operator.pki.keys import encode_key
from mtls_operator.pki.leaf import issue_leaf
from mtls_operator.pki.renewal import last_moment, renewal_time, succession_time
from mtls_operator.pki.validity import rfc3339
from mtls_operator.policies.leaf import LeafInput, StoredLeaf, evaluate
from mtls_server.contract import CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS

from .gates import trust_since
from .keystores import Stores, stores
from .ownership import Ownership, made_by_us, ownership
from .plan import Create, Delete, Notice, Plan, Problem, Replace, name_taken
from .ports import SECRET, Object, Ref
from .restart import restarted_at_first
from .secrets import decode_data, differences, merged
from .wanted import WantedLeaf
from .world import World

CONTENTS_CHANGED = "ContentsChanged"
CANNOT_ISSUE = "CannotIssue"
MAX_REASON = 1024
"""Most characters of the annotation that says why; longer ones are not ours."""
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


@dataclass(frozen=True, slots=True)
class _Stored:
    """A Secret as observed, its data decoded once."""

    observed: Object
    data: Mapping[str, bytes] = field(default_factory=dict)

    def annotation(self, name: str) -> str:
        return str((self.observed["metadata"].get("annotations") or {}).get(name, ""))

    @property
    def reason(self) -> str:
        """Why it was last written; what nobody of ours wrote is not told on."""
        reason = self.annotation(names.ANNOTATION_REASON)
        word, _, _ = reason.partition(": ")
        return reason if word.isalpha() and len(reason) <= MAX_REASON else "Unknown: it was altered"


@dataclass(frozen=True, slots=True)
class _Material:
    """What a leaf Secret holds: chain and key as PEM, and the leaf itself."""

    chain: bytes
    key: bytes
    leaf: x509.Certificate
    duration: str
    """How many seconds it was made for."""
    requested: str
    """The request for re-issue that it was made under."""


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
    stored = _Stored(observed, decode_data(observed)) if observed else None
    return _decide_ours(world, wanted, stored, entropy, may_issue=may_issue)


def _decide_ours(
    world: World, wanted: WantedLeaf, stored: _Stored | None, entropy: Entropy, *, may_issue: bool
) -> tuple[LeafReport, Plan]:
    signer = wanted.generations.signing or wanted.generations.next
    if signer is None:
        return _cannot_issue(wanted, f"there is no {wanted.generations.role} authority that could sign")
    cause = _cause(world, wanted, signer, stored)
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
        if ref in wanted or not ours:
            continue
        metadata = observed["metadata"]
        writes.append(Delete(ref, metadata["uid"], metadata["resourceVersion"]))
    return Plan(writes=tuple(writes))


def _cause(world: World, wanted: WantedLeaf, signer: Authority, stored: _Stored | None) -> Cause | None:
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
            requested=_requested(world),
            uid=world.service.metadata.uid,
            now=world.now,
        )
    )
    return Cause(violation.reason, violation.message) if violation else None


def _keep(world: World, wanted: WantedLeaf, stored: _Stored, *, may_write: bool) -> tuple[LeafReport, Plan]:
    """Keep the leaf, and mend what is around it."""
    material = _with_intermediates(wanted, _stored_material(stored))
    body = _secret(world, wanted, material, stored, stored.reason)
    changed = differences(body, stored.observed)
    if changed:
        rotated = TRUST_ANCHORS in changed and _anchors(stored) & set(decode_anchors(wanted.anchors))
        reason = TRUST_CHANGED if rotated else CONTENTS_CHANGED
        cause = Cause(reason, f"{', '.join(changed)} differed from what is wanted")
        if not may_write:
            return _report_until_written(world, wanted, stored, cause), Plan(more=True)
        return _write(world, wanted, stored, material, cause)
    problem = wanted.stores.problem if wanted.stores else None
    return _report(world, wanted, material.leaf, stored.reason), Plan(
        problems=(problem,) if problem else (), wake=_next_look(world, wanted, material.leaf)
    )


def _write(
    world: World, wanted: WantedLeaf, stored: _Stored | None, material: _Material, cause: Cause
) -> tuple[LeafReport, Plan]:
    reason = f"{cause.reason}: {cause.message}"[:MAX_REASON]
    body = _secret(world, wanted, material, stored, reason)
    notice = _notice(world, wanted, stored, cause)
    write = Replace(SECRET, merged(body, stored.observed), notice) if stored else Create(SECRET, body, notice)
    return _report_until_written(world, wanted, stored, cause), Plan(writes=(write,))


def _requested(world: World) -> str:
    return world.service.metadata.annotations.get(names.ANNOTATION_REISSUE, "")


def _stored_material(stored: _Stored) -> _Material:
    chain = stored.data[CERTIFICATE]
    return _Material(
        chain=chain,
        key=stored.data[PRIVATE_KEY],
        leaf=x509.load_pem_x509_certificate(chain),
        duration=stored.annotation(names.ANNOTATION_DURATION),
        requested=stored.annotation(names.ANNOTATION_REISSUE),
    )


def _cannot_issue(wanted: WantedLeaf, why: str) -> tuple[LeafReport, Plan]:
    problem = Problem(CANNOT_ISSUE, why)
    return LeafReport(wanted.ref.name, wanted.client, problem=problem), Plan(problems=(problem,))


def _issue(world: World, wanted: WantedLeaf, signer: Authority, entropy: Entropy) -> _Material:
    leaf = issue_leaf(
        signer, wanted.profile, wanted.duration, world.now, entropy, not_before=wanted.not_before
    )
    return _Material(
        chain=encode_bundle([leaf.certificate, *signer.intermediates]),
        key=encode_key(leaf.key),
        leaf=leaf.certificate,
        duration=str(int(wanted.duration.total_seconds())),
        requested=_requested(world),
    )


def _with_intermediates(wanted: WantedLeaf, material: _Material) -> _Material:
    """Show what lies between leaf and root as it is now: a CA of the user's own may get a new certificate."""
    signing = wanted.generations.signing
    leaf, *shown = decode_bundle(material.chain)
    if signing is None or tuple(shown) == signing.intermediates:
        return material
    if not is_issued_by(leaf, signing.certificate):
        return material
    return replace(material, chain=encode_bundle([leaf, *signing.intermediates]))


def _is_ending(world: World, wanted: WantedLeaf, stored: _Stored | None, cause: Cause) -> bool:
    """Whether a leaf whose authority is lost would end before another one is trusted."""
    if stored is None or cause.reason not in {*STILL_SERVING, "Expired"}:
        return False
    return world.now >= last_moment(_stored_material(stored).leaf, wanted.duration)


def _wait_for_authority(
    world: World, wanted: WantedLeaf, stored: _Stored | None, cause: Cause, *, may_write: bool
) -> tuple[LeafReport, Plan]:
    """Sign nothing, as nobody trusts yet who would; what serves goes on."""
    if stored is None or cause.reason not in STILL_SERVING:
        why = f"the {wanted.generations.role} authority is lost, and its successor is not trusted yet"
        problem = Problem(AUTHORITY_LOST, f"{cause.message} {why}")
        return LeafReport(wanted.ref.name, wanted.client, problem=problem), Plan()
    report, plan = _keep(world, wanted, stored, may_write=may_write)
    return report, plan + Plan(wake=last_moment(_stored_material(stored).leaf, wanted.duration))


def _secret(
    world: World, wanted: WantedLeaf, material: _Material, stored: _Stored | None, reason: str
) -> Object:
    leaf = material.leaf
    annotations = {
        names.ANNOTATION_DURATION: material.duration,
        names.ANNOTATION_SERIAL: f"{leaf.serial_number:x}",
        names.ANNOTATION_NOT_BEFORE: rfc3339(leaf.not_valid_before_utc),
        names.ANNOTATION_NOT_AFTER: rfc3339(leaf.not_valid_after_utc),
        names.ANNOTATION_RENEWAL_TIME: rfc3339(_renewal_time(world, wanted, leaf)),
        names.ANNOTATION_REASON: reason,
        names.ANNOTATION_TRUST_SINCE: _trust_since(world.now, wanted, stored),
    }
    if stored is None and _is_new(world, wanted):
        annotations |= restarted_at_first(wanted.restart, material.chain, wanted.anchors)
    if material.requested:
        annotations[names.ANNOTATION_REISSUE] = material.requested
    if wanted.client is None:
        return secrets.server_secret(
            world.service,
            certificate=material.chain,
            key=material.key,
            anchors=wanted.anchors,
            policy=wanted.policy,
            annotations=annotations,
        )
    further = _stores(world, wanted, material, stored)
    if further.seal:
        annotations[names.ANNOTATION_STORES] = further.seal
    return secrets.client_secret(
        held(wanted.caller) if wanted.caller else kept(world.service, wanted.ref.name, "client"),
        certificate=material.chain,
        key=material.key,
        anchors=wanted.anchors,
        stores=further.files,
        annotations=annotations,
    )


def _stores(world: World, wanted: WantedLeaf, material: _Material, stored: _Stored | None) -> Stores:
    if wanted.stores is None:
        return Stores()
    present = Stores()
    if stored and ownership(stored.observed, wanted.caller or world.service) is Ownership.OURS:
        present = Stores.among(stored.data, stored.annotation(names.ANNOTATION_STORES))
    return stores(wanted.stores, material.key, material.chain, wanted.anchors, present)


def _renewal_time(world: World, wanted: WantedLeaf, leaf: x509.Certificate) -> datetime:
    return renewal_time(leaf, wanted.duration, wanted.renew_before, world.service.metadata.uid)


def _next_look(world: World, wanted: WantedLeaf, leaf: x509.Certificate) -> datetime | None:
    """When this leaf is due; one that is due but can not outlive itself is looked at again at its end."""
    generations = wanted.generations
    moments = [_renewal_time(world, wanted, leaf), leaf.not_valid_after_utc]
    if generations.was_signed_before(leaf):
        uid = world.service.metadata.uid
        moments.append(succession_time(leaf, generations.since, generations.longest, uid))
    return min((moment for moment in moments if moment > world.now), default=None)


def _trust_since(now: datetime, wanted: WantedLeaf, stored: _Stored | None) -> str:
    """When the newest anchor was added: kept while the bundle already holds every anchor wanted."""
    if stored is None or not _anchors(stored) >= set(decode_anchors(wanted.anchors)):
        return rfc3339(now)
    return rfc3339(trust_since(stored.observed, now))


def _anchors(stored: _Stored) -> set[x509.Certificate]:
    try:
        return set(decode_anchors(stored.data.get(TRUST_ANCHORS, b"")))
    except ValueError:
        return set()


def _notice(world: World, wanted: WantedLeaf, stored: _Stored | None, cause: Cause) -> Notice | None:
    if wanted.generations.signing is None and cause.reason not in {CONTENTS_CHANGED, TRUST_CHANGED}:
        message = f"Secret {wanted.ref.name} was signed by an authority that not all trust yet, lest it end"
        return Notice("Warning", AUTHORITY_LOST, message)
    first_issue = cause.reason == MISSING.reason and not _known(world, wanted)
    if first_issue or cause.reason in ROUTINE or _is_succession(wanted, stored, cause):
        return None
    return Notice("Normal", cause.reason, f"Secret {wanted.ref.name} was written: {cause.message}")


def _is_succession(wanted: WantedLeaf, stored: _Stored | None, cause: Cause) -> bool:
    """Whether a leaf gives way to one of a new authority, which is told of once, not for each leaf."""
    if stored is None or cause.reason != "WrongAuthority":
        return False
    return wanted.generations.was_signed_before(_stored_material(stored).leaf)


def _is_new(world: World, wanted: WantedLeaf) -> bool:
    """Whether there was no such Secret before, for certain: of many clients status lists some only."""
    status = world.service.status
    listed = status is None or len(status.clients) == (status.clients_total or 0)
    return listed and not _known(world, wanted)


def _known(world: World, wanted: WantedLeaf) -> bool:
    """Whether status says that this Secret was there before: then its absence is worth an Event."""
    if wanted.caller is not None:
        return bool(wanted.caller.status and wanted.caller.status.serial)
    status = world.service.status
    if status is None:
        return False
    if wanted.client is None:
        return status.server_certificate is not None
    return any(client.name == wanted.client for client in status.clients)


def _report_until_written(
    world: World, wanted: WantedLeaf, stored: _Stored | None, cause: Cause
) -> LeafReport:
    """Report what is stored: the write may be refused."""
    if stored and (cause.reason in STILL_SERVING or _is_succession(wanted, stored, cause)):
        return _report(world, wanted, _stored_material(stored).leaf, stored.reason)
    return LeafReport(wanted.ref.name, wanted.client, problem=Problem(*cause))


def _report(world: World, wanted: WantedLeaf, leaf: x509.Certificate, reason: str) -> LeafReport:
    return LeafReport(
        secret_name=wanted.ref.name,
        client=wanted.client,
        serial=f"{leaf.serial_number:x}",
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        renewal_time=_renewal_time(world, wanted, leaf),
        reason=reason,
    )
