"""Decide about the authority Secret: the precious one, which says all that rotation goes by."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from mtls_operator.api import defaults, names
from mtls_operator.desired.keyring import ROLES, Keyring, encode_keyring
from mtls_operator.desired.secrets import authority_secret
from mtls_operator.pki.authority import Authority, issue_authority
from mtls_operator.pki.entropy import Entropy
from mtls_operator.pki.generations import Generations
from mtls_operator.policies.rotation import DISTRUST, AuthorityWish
from mtls_operator.reconcile.ownership import Ownership, ownership
from mtls_operator.reconcile.plan import Create, Notice, Plan, Problem, Replace, name_taken
from mtls_operator.reconcile.ports import SECRET, Object, Ref
from mtls_operator.reconcile.secrets import decode_data, merged, metadata_differs
from mtls_operator.reconcile.world import World

from .gates import gate
from .recovery import mark, read_keyring, wanted_longest
from .revocation import next_end, revoke
from .rotation import Rotation, advance
from .sources import AUTHORITY_INVALID, Given, next_look, wanted_authority


def decide_authorities(world: World, entropy: Entropy) -> tuple[Keyring | None, tuple[Rotation, ...], Plan]:
    """Return what is stored, how far rotation is, and what to do about the authority Secret.

    All that changes is one write, and nothing is signed on the strength of it before it is stored.
    """
    service, stored = world.service, world.authority
    ref = Ref(SECRET, world.settings.namespace, names.authority_secret(service.metadata.uid))
    if ref in world.taken or (stored is not None and not _is_ours(stored, world)):
        return None, (), name_taken(ref, world.now)
    try:
        keyring = read_keyring(world)
    except ValueError as error:
        message = f"Secret {ref.namespace}/{ref.name} can not be used: {error}"
        return None, (), Plan(problems=(Problem(AUTHORITY_INVALID, message),))
    if world.paused and stored is not None:
        return keyring, (), Plan()
    given = {role: wanted_authority(world, role) for role in ROLES}
    rotations = tuple(_advance(world, keyring.of(role), given[role], entropy) for role in ROLES)
    advanced = keyring
    for rotation in rotations:
        advanced = advanced.with_(rotation.generations)
    advanced = revoke(world, advanced)
    wakes = [next_end(advanced, world.now), *(rotation.wake for rotation in rotations)]
    wakes += [next_look(world, each) for each in given.values()]
    problems = tuple(each for each in given.values() if isinstance(each, Problem))
    write = _write(world, advanced, _summary(rotations))
    return (
        keyring,
        rotations,
        Plan(writes=write, problems=problems, wake=min(filter(None, wakes), default=None)),
    )


def _advance(world: World, generations: Generations, given: Given, entropy: Entropy) -> Rotation:
    role, longest = generations.role, wanted_longest(world, generations.role)
    remembering = replace(generations, longest=max(generations.longest, longest))
    wish = _wish(world, remembering, given)

    def make() -> Authority:
        metadata = world.service.metadata
        owner = f"{metadata.namespace}/{metadata.name}"
        return wish.foreign or issue_authority(role, owner, wish.duration, world.now, entropy)

    return advance(remembering, wish, make, partial(gate, world, remembering))


def _wish(world: World, generations: Generations, given: Given) -> AuthorityWish:
    service, role = world.service, generations.role
    source = getattr(service.spec.authority, role)
    asked = service.metadata.annotations.get(names.ANNOTATION_ROTATE_AUTHORITY, "")
    request = mark(asked)
    requested = request not in {"", generations.rotated_for}
    return AuthorityWish(
        duration=defaults.authority_duration(source),
        foreign=given if isinstance(given, Authority) else None,
        foreign_wanted=source.secret_ref is not None,
        request=request,
        requested=requested,
        distrust=requested and asked.startswith(DISTRUST),
        longest=wanted_longest(world, role),
        propagation=defaults.propagation(service),
        uid=service.metadata.uid,
        now=world.now,
    )


def _write(world: World, keyring: Keyring, notice: Notice | None) -> tuple[Create | Replace, ...]:
    data = encode_keyring(keyring)
    wanted, stored = authority_secret(world.service, world.settings, data), world.authority
    if stored is None:
        return (Create(SECRET, wanted, notice),)
    if data == decode_data(stored) and not metadata_differs(wanted, stored):
        return ()
    return (Replace(SECRET, merged(wanted, stored), notice),)


def _summary(rotations: Iterable[Rotation]) -> Notice | None:
    """Tell of the steps of both authorities at once, since they are one write."""
    notices: Sequence[Notice] = [rotation.notice for rotation in rotations if rotation.notice]
    if not notices:
        return None
    gravest = next((notice for notice in notices if notice.severity == "Warning"), notices[0])
    return replace(gravest, message="; ".join(notice.message for notice in notices))


def _is_ours(stored: Object, world: World) -> bool:
    """The name carries the UID, in a namespace where only we write: enough when every label was stripped."""
    named = stored["metadata"]["name"] == names.authority_secret(world.service.metadata.uid)
    return named or ownership(stored, world.service) is Ownership.OURS
