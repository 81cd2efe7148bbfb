"""Take one authority a step on: prepare a successor, let it sign, retire the former."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from mtls_operator.desired.keyring import MARGIN
from mtls_operator.pki.authority import Authority
from mtls_operator.pki.generations import Generations, Retiring
from mtls_operator.pki.validity import rfc3339
from mtls_operator.policies.rotation import (
    MAX_NAMED,
    AuthorityWish,
    Cause,
    Gate,
    Phase,
    PodTrust,
    deadline,
    evaluate,
    is_same_trust,
    restart_time,
    rotation_due,
    waiting_for,
)
from mtls_operator.reconcile.plan import Notice

Make = Callable[[], Authority]
"""Makes a new authority, or returns the user's own."""
Survey = Callable[[Authority], Gate]
"""Tells who trusts an authority."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How far an authority is, and the step that is taken once its generations are stored."""

    generations: Generations
    phase: Phase = "Idle"
    message: str = ""
    """What is waited for."""
    notice: Notice | None = None
    """What to tell of the step."""
    wake: datetime | None = None
    restart: str = ""
    """What pods must be replaced for, since they do not learn to trust the authority; or nothing."""


def advance(generations: Generations, wish: AuthorityWish, make: Make, survey: Survey) -> Rotation:
    """Take the next step of one authority, if one is due."""
    if wish.distrust or (wish.requested and wish.foreign_wanted):
        return _answer(generations, wish, make)
    if any(each.until <= wish.now for each in generations.retiring):
        return _retire(generations, wish)
    if not (generations.signing or generations.next or generations.retiring):
        return _begin(generations, wish, make)
    cause = evaluate(generations, wish)
    if cause is not None:
        return _prepare(generations, wish, make(), cause)
    if generations.next is not None:
        return _await(generations, generations.next, wish, survey(generations.next))
    return _rest(generations, wish, survey)


def _begin(generations: Generations, wish: AuthorityWish, make: Make) -> Rotation:
    """Sign at once, since nobody trusts a former one."""
    if wish.unusable:
        return Rotation(generations, message="no CA is there that could sign")
    return Rotation(_sign(generations, wish, make()))


def _answer(generations: Generations, wish: AuthorityWish, make: Make) -> Rotation:
    """Follow a request at once: sign with a new one and trust no other, which is an outage by choice."""
    role, former = generations.role, generations.signing
    handled = replace(generations, rotated_for=wish.request)
    is_known = wish.foreign is not None and former is not None and wish.foreign.key_id == former.key_id
    if wish.unusable or is_known or not wish.distrust:
        message = f"the {role} authority is the user's own: to rotate it, put another CA into its Secret"
        return Rotation(handled, notice=Notice("Warning", "NotRotated", message))
    message = f"the {role} authority is distrusted: a new one signs, and who knows only the former is cut off"
    fresh = replace(_sign(handled, wish, make()), retiring=())
    return Rotation(fresh, notice=Notice("Warning", "AuthorityDistrusted", message))


def _retire(generations: Generations, wish: AuthorityWish) -> Rotation:
    kept = tuple(each for each in generations.retiring if each.until > wish.now)
    message = f"the former {generations.role} authority is trusted no more: all that it signed has ended"
    return Rotation(
        replace(generations, retiring=kept), "Retired", notice=Notice("Normal", "AuthorityRetired", message)
    )


def _prepare(generations: Generations, wish: AuthorityWish, successor: Authority, cause: Cause) -> Rotation:
    prepared = replace(
        generations,
        next=successor,
        prepared_at=wish.now,
        foreign=generations.foreign | ({successor.key_id} if wish.foreign else set()),
        rotated_for=wish.request or generations.rotated_for,
    )
    message = f"a new {generations.role} authority is prepared: {cause.message}"
    notice = Notice("Warning" if cause.reason == "Lost" else "Normal", "AuthorityPrepared", message)
    return Rotation(prepared, "Prepared", notice=notice)


def _await(generations: Generations, successor: Authority, wish: AuthorityWish, gate: Gate) -> Rotation:
    waiting, ends = waiting_for(gate, wish.propagation, wish.now), deadline(generations)
    signs = f"a new {generations.role} authority signs"
    if waiting is None:
        notice = Notice("Normal", "AuthoritySigning", f"{signs}: those who verify its leaves trust it")
        return Rotation(_sign(generations, wish, successor), "Trusted", notice=notice)
    if ends is None or wish.now >= ends:
        notice = Notice(
            "Warning", "AuthorityGateSkipped", f"{signs}, as the former one ends, although {waiting.message}"
        )
        return Rotation(_sign(generations, wish, successor), "Trusted", notice=notice)
    restart, at = _restart(gate.pods or (), successor, "Prepared", ends, wish.now)
    wake = _earliest([waiting.until, ends, at, *(each.until for each in generations.retiring)])
    return Rotation(generations, "Prepared", waiting.message, wake=wake, restart=restart)


def _rest(generations: Generations, wish: AuthorityWish, survey: Survey) -> Rotation:
    signing = generations.signing
    if signing is None:
        return Rotation(generations, "Prepared", "its key is lost, and no CA is there that could sign")
    foreign = wish.foreign
    if foreign and is_same_trust(signing, foreign) and signing.certificates != foreign.certificates:
        return Rotation(replace(generations, signing=foreign))
    retirements = [each.until for each in generations.retiring]
    due = None if wish.foreign_wanted else rotation_due(signing, generations, wish)
    if not retirements:
        return Rotation(generations, wake=due)
    pods = survey(signing).pods or ()
    restart, at = _restart(pods, signing, "Signing", None, wish.now)
    message = f"the former one is trusted until {rfc3339(max(retirements))}"
    lagging = [pod.detail for pod in pods if not pod.trusts]
    return Rotation(
        generations,
        "Signing",
        "; ".join([message, *lagging[:MAX_NAMED]]),
        wake=_earliest([*retirements, due, at]),
        restart=restart,
    )


def _sign(generations: Generations, wish: AuthorityWish, successor: Authority) -> Generations:
    """Let the successor sign; the former key goes, its certificate stays while a leaf of it may hold."""
    former, foreign = generations.signing, generations.foreign
    if wish.foreign is not None:
        foreign |= {wish.foreign.key_id}
    retired: tuple[Retiring, ...] = ()
    if former is not None:
        end = min(wish.now + generations.longest + MARGIN, former.not_after)
        retired = (Retiring(generations.role, former.certificates, end.replace(microsecond=0)),)
    return Generations(
        role=generations.role,
        signing=successor,
        longest=wish.longest if former else max(wish.longest, generations.longest),
        since=wish.now,
        retiring=(*generations.retiring, *retired),
        foreign=foreign & {successor.key_id},
        rotated_for=generations.rotated_for,
    )


def _restart(
    pods: Iterable[PodTrust], awaited: Authority, phase: Phase, ends: datetime | None, now: datetime
) -> tuple[str, datetime | None]:
    """Say for what pods must be replaced, or when they will have to be."""
    moments = [
        restart_time(pod.since, ends)
        for pod in pods
        if pod.since is not None and not pod.trusts and not pod.unreachable
    ]
    at = min(moments, default=None)
    if at is None or now < at:
        return "", at
    return f"{awaited.key_id[:16]}.{phase.lower()}", None


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
