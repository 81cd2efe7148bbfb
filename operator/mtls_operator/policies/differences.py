"""How a leaf certificate differs from what is wanted of it, in words."""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from mtls_operator.api import durations
from mtls_operator.pki.extensions import extension
from mtls_operator.pki.keys import PrivateKey, profile_of
from mtls_operator.pki.leaf import USAGES, LeafProfile, alternative_names, subject

MAX_LISTED: Final = 5
"""Most names told of each difference."""


def profile_differences(
    certificate: x509.Certificate, key: PrivateKey, profile: LeafProfile
) -> Iterator[str]:
    """Tell each difference between a certificate with its key and a profile."""
    if certificate.subject != subject(profile):
        yield f"common name {common_name(certificate.subject)!r} instead of {profile.common_name!r}"
    names, wanted_names = _names(certificate), set(alternative_names(profile))
    if missing := wanted_names - names:
        yield f"names missing: {_listed(missing)}"
    if surplus := names - wanted_names:
        yield f"names no longer wanted: {_listed(surplus)}"
    if _usages(certificate) != {USAGES[profile.role]}:
        yield f"extended key usage other than {profile.role} authentication"
    if profile_of(key) != profile.key:
        yield f"key {profile_of(key) or 'of another kind'} instead of {profile.key}"


def duration_difference(recorded: str | None, wanted: timedelta) -> Iterator[str]:
    """Tell whether a certificate was made for another duration than is wanted.

    Args:
        recorded: in seconds, as annotated; the certificate's own dates do not tell, for its authority's end
            may have cut it short.
        wanted: the duration.
    """
    if recorded == str(int(wanted.total_seconds())):
        return
    known = recorded is not None and re.fullmatch("[0-9]{1,9}", recorded)
    former = durations.spell(timedelta(seconds=int(known[0]))) if known else "unknown"
    yield f"duration {former} instead of {durations.spell(wanted)}"


def common_name(name: x509.Name) -> str:
    """Return the common name; empty where there is none."""
    attributes = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if attributes else ""


def _names(certificate: x509.Certificate) -> set[x509.GeneralName]:
    return set(extension(certificate, x509.SubjectAlternativeName) or ())


def _usages(certificate: x509.Certificate) -> set[ObjectIdentifier]:
    return set(extension(certificate, x509.ExtendedKeyUsage) or ())


def _listed(names: Iterable[x509.GeneralName]) -> str:
    texts = sorted(str(name.value) for name in names)
    more = len(texts) - MAX_LISTED
    return ", ".join(texts[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
