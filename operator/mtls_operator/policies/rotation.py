"""Why is a new authority prepared, and what is still waited for before it signs?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from cryptography import x509

from mtls_operator.api import durations
from mtls_operator.api.names import ANNOTATION_ROTATE_AUTHORITY
from mtls_operator.pki.authority import Authority, spki_digest, was_issued_for
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.renewal import rotation_time
from mtls_operator.pki.validity import rfc3339

Reason = Literal["Lost", "SourceChanged", "ProfileChanged", "Requested", "Age"]
Phase = Literal["Idle", "Prepared", "Trusted", "Signing", "Retired"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)

DISTRUST: Final = "distrust/"
"""With this a request for rotation begins that has no patience."""
MAX_RETIRING: Final = 8
"""Most generations that are still trusted when a further one is prepared, so that bundles stay small."""
PATIENCE: Final = timedelta(minutes=5)
"""How long pods may go on without the new authority before they are replaced."""
MAX_NAMED: Final = 3
"""Most of those who lag that are named."""


@dataclass(frozen=True, slots=True)
class AuthorityWish:
    """What is asked of an authority."""

    duration: timedelta
    """How long a generation of ours holds."""
    foreign: Authority | None
    """The user's own, which then is to sign."""
    foreign_wanted: bool
    """Whether the spec names one of the user's own, although it may not be usable now."""
    request: str
    """What a person asks for, followed or not; empty: nothing."""
    requested: bool
    """Whether that is still to be followed."""
    distrust: bool
    """Whether the one that signs is no longer to be trusted, at once."""
    longest: timedelta
    """The longest leaf that is to be signed."""
    propagation: timedelta
    """How long verifiers get to pick up a new bundle, where they do not acknowledge it."""
    uid: str
    """Of the service."""
    now: datetime

    @property
    def unusable(self) -> bool:
        """Whether the spec names a CA that can not sign: the last good one goes on."""
        return self.foreign_wanted and self.foreign is None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a new authority is prepared: a word for machines, a sentence for people."""

    reason: Reason
    message: str


Check: TypeAlias = Callable[[Authority, Generations, AuthorityWish], Cause | None]


def source_changed(signing: Authority, generations: Generations, wish: AuthorityWish) -> Cause | None:
    """It comes from where the spec says: from us, or from the Secret that is named."""
    own = signing.key_id not in generations.foreign
    if wish.foreign is not None and not is_same_trust(signing, wish.foreign):
        return Cause("SourceChanged", "the Secret of authority.*.secretRef holds another CA")
    if not wish.foreign_wanted and not own:
        return Cause("SourceChanged", "the spec names no CA of the user's own any more")
    return None


def profile_changed(signing: Authority, _: Generations, wish: AuthorityWish) -> Cause | None:
    """It was made for the duration that is wanted."""
    if wish.foreign_wanted or was_issued_for(signing.certificate, wish.duration):
        return None
    return Cause("ProfileChanged", f"its duration shall be {durations.spell(wish.duration)}")


def requested(_: Authority, __: Generations, wish: AuthorityWish) -> Cause | None:
    """A person can ask for a new one, once with each value."""
    if not wish.requested or wish.foreign_wanted:
        return None
    return Cause("Requested", f"the annotation {ANNOTATION_ROTATE_AUTHORITY} asks for it")


def age(signing: Authority, generations: Generations, wish: AuthorityWish) -> Cause | None:
    """The time of its successor has not come."""
    if wish.foreign_wanted or wish.now < (due := rotation_due(signing, generations, wish)):
        return None
    return Cause("Age", f"it ends at {rfc3339(signing.not_after)}; rotation is due since {rfc3339(due)}")


CHECKS: Final[tuple[Check, ...]] = (source_changed, profile_changed, requested, age)
"""In the order in which reasons are told; a lost key comes before them."""


def evaluate(generations: Generations, wish: AuthorityWish, checks: Sequence[Check] = CHECKS) -> Cause | None:
    """Say why a successor must be prepared; None: there is one, or need be none."""
    signing = generations.signing
    if generations.next is not None or wish.unusable:
        return None
    if signing is None:
        return Cause("Lost", "its key is lost")
    if len(generations.retiring) >= MAX_RETIRING:
        return None
    return next(filter(None, (check(signing, generations, wish) for check in checks)), None)


def rotation_due(signing: Authority, generations: Generations, wish: AuthorityWish) -> datetime:
    """Return when the successor is prepared, by age alone: in time for its gate before the deadline.

    However long that takes, it is not before a seventh of its life, lest authorities follow each other for
    ever.
    """
    life = signing.not_after - signing.validity.not_before
    lead = wish.propagation + min(2 * PATIENCE, life / 20) + 2 * generations.longest
    return rotation_time(signing, min(lead, life * 3 / 4), wish.uid)


def deadline(generations: Generations) -> datetime | None:
    """Return when the successor signs, trusted or not: twice the longest leaf before the end of what signs.

    Where a key is lost, that is when all its leaves have ended.
    """
    if generations.signing is None:
        return max((each.until for each in generations.retiring), default=None)
    return generations.signing.not_after - 2 * generations.longest


def is_same_trust(known: Authority, other: Authority) -> bool:
    """Tell whether whoever trusts the one trusts the other: new certificates of the same keys and names."""
    return (
        known.key_id == other.key_id
        and _is_same_holder(known.certificate, other.certificate)
        and _is_same_holder(known.root, other.root)
        and other.not_after >= known.not_after
    )


def _is_same_holder(known: x509.Certificate, other: x509.Certificate) -> bool:
    return known.subject == other.subject and spki_digest(known) == spki_digest(other)


@dataclass(frozen=True, slots=True)
class PodTrust:
    """Whether one pod trusts the new authority."""

    name: str
    trusts: bool
    unreachable: bool = False
    """Whether it can not be asked; then time counts, as with those who never answer."""
    stale_at: datetime | None = None
    """When it last said that it does not."""
    detail: str = ""
    """Why it does not, in words."""
    since: datetime | None = None
    """Since when it could trust it: as long as it, and what it mounts, are there."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Those who must trust a new authority before it signs its first leaf."""

    bundles_since: datetime | None
    """Since when every bundle for them has it; None: one has it not."""
    lacking: str = ""
    """Which bundle has it not, in words."""
    verifiers: str = "callers"
    """Who they are, in words."""
    pods: tuple[PodTrust, ...] | None = None
    """None: they can not be asked, and only time tells."""
    expects_pods: bool = False
    """Whether there should be pods."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is still waited for."""

    message: str
    until: datetime | None = None
    """When waiting ends by itself."""


def waiting_for(gate: Gate, propagation: timedelta, now: datetime) -> Waiting | None:
    """Say what is still waited for; None: the gate is open."""
    if gate.bundles_since is None:
        return Waiting(gate.lacking)
    opens = gate.bundles_since + propagation
    if gate.pods is None:
        if now >= opens:
            return None
        spelled = durations.spell(propagation)
        return Waiting(f"{gate.verifiers} have {spelled} to pick it up, until {rfc3339(opens)}", opens)
    if not gate.pods and gate.expects_pods:
        return Waiting("there are no pods yet that could trust it")
    lagging = [pod for pod in gate.pods if not pod.trusts and not _in_time(pod, opens, propagation, now)]
    if not lagging:
        return None
    trusting = sum(pod.trusts for pod in gate.pods)
    details = "; ".join(pod.detail for pod in lagging[:MAX_NAMED])
    more = f" and {len(lagging) - MAX_NAMED} more" if len(lagging) > MAX_NAMED else ""
    only_time = all(pod.unreachable and pod.stale_at is None for pod in lagging)
    return Waiting(f"{trusting}/{len(gate.pods)} pods; {details}{more}", opens if only_time else None)


def _in_time(pod: PodTrust, opens: datetime, propagation: timedelta, now: datetime) -> bool:
    """Whether a pod that can not be asked has had its time: since it last said that it lags, if it did."""
    if not pod.unreachable:
        return False
    return now >= (opens if pod.stale_at is None else max(opens, pod.stale_at + propagation))


def restart_time(since: datetime, ends: datetime | None) -> datetime:
    """Return when a pod that answers, but does not trust a new authority, is replaced to help it.

    That is after `PATIENCE`, or after half of the time that is left, whichever is less.

    Args:
        since: since when the pod could trust it.
        ends: when the authority signs, trusted or not; None: it does already.
    """
    if ends is None:
        return since + PATIENCE
    return since + max(min(PATIENCE, (ends - since) / 2), timedelta())
