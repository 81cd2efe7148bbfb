"""When an authority Secret may go: only when nothing speaks for its service any more."""

from datetime import timedelta

import pytest

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.reconcile.ports import Object
from mtls_operator.reconcile.sweep import Listing, Verdict, is_believed, verdict

from .universe import SETTINGS, START

GONE = Listing(frozenset({"uid-other"}), timedelta(0))
THERE = Listing(frozenset({"uid-1"}), timedelta(0))


def _authority(orphaned_since: str | None = None, instance: str = SETTINGS.identity) -> Object:
    annotations = {names.ANNOTATION_INSTANCE: instance, names.ANNOTATION_OWNER: "shop/orders"}
    if orphaned_since:
        annotations[names.ANNOTATION_ORPHANED_SINCE] = orphaned_since
    return {"metadata": {"name": "authority-uid-1", "annotations": annotations}}


@pytest.mark.parametrize(
    ("authority", "listing", "expected"),
    [
        pytest.param(_authority(), THERE, "keep", id="the service exists"),
        pytest.param(_authority("2026-01-01T00:00:00Z"), THERE, "unmark", id="the service came back"),
        pytest.param(_authority(), GONE, "mark", id="gone: marked first"),
        pytest.param(_authority("2026-01-01T11:30:00Z"), GONE, "keep", id="gone within the grace"),
        pytest.param(_authority("2026-01-01T10:59:00Z"), GONE, "delete", id="gone beyond the grace"),
        pytest.param(_authority("last week"), GONE, "keep", id="a mark nobody can read counts from now"),
        pytest.param(_authority(instance="else/where"), GONE, "keep", id="another installation's"),
    ],
)
def test_verdict(authority: Object, listing: Listing, expected: Verdict) -> None:
    assert verdict(authority, listing, SETTINGS, START) == expected


def test_an_authority_of_a_namespace_that_is_not_watched_is_kept() -> None:
    elsewhere = Settings(namespace="mtls-system", server_image="x", watched_namespaces=("bank",))
    assert verdict(_authority(), GONE, elsewhere, START) == "keep"


@pytest.mark.parametrize(
    ("uids", "empty_for", "authorities", "believed"),
    [
        ({"a"}, 0, 9, True),
        (set(), 0, 1, True),
        (set(), 0, 2, False),
        (set(), 29, 2, False),
        (set(), 30, 2, True),
    ],
)
def test_an_empty_list_is_believed_late_when_several_authorities_exist(
    uids: set[str], empty_for: float, authorities: int, *, believed: bool
) -> None:
    assert is_believed(Listing(frozenset(uids), timedelta(seconds=empty_for)), authorities) is believed
