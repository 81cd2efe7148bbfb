"""Which names may a CA certify? The rules of RFC 5280 (4.2.1.10), for the kinds of names that we issue."""

from collections.abc import Iterable, Sequence

from cryptography import x509

from mtls_operator.pki.leaf import LeafProfile, alternative_names, subject


def names_of(profile: LeafProfile) -> Sequence[x509.GeneralName]:
    """Return the names that the constraints of a CA apply to: those of the leaf, and its subject."""
    holder = subject(profile)
    return (*alternative_names(profile), *([x509.DirectoryName(holder)] if list(holder) else []))


def forbidden(
    constraints: x509.NameConstraints, names: Iterable[x509.GeneralName]
) -> x509.GeneralName | None:
    """Return the first name that the constraints exclude, or do not permit; None: all are fine."""
    for name in names:
        permitted = [base for base in constraints.permitted_subtrees or () if type(base) is type(name)]
        excluded = constraints.excluded_subtrees or ()
        if (permitted and not _within(name, permitted)) or _within(name, excluded):
            return name
    return None


def _within(name: x509.GeneralName, bases: Iterable[x509.GeneralName]) -> bool:
    return any(_matches(name, base) for base in bases)


def _matches(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    match name, base:
        case x509.DNSName(), x509.DNSName():
            return _is_below(name.value, base.value)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            host = name.value.partition("://")[2].partition("/")[0]
            return _is_below(host, base.value) if base.value.startswith(".") else _same(host, base.value)
        case x509.IPAddress(), x509.IPAddress():
            return name.value in base.value  # type: ignore[operator] # the base is a network
        case x509.DirectoryName(), x509.DirectoryName():
            outer = _folded(base.value)
            return _folded(name.value)[: len(outer)] == outer
        case _:
            return False


def _is_below(name: str, base: str) -> bool:
    """Whether a name is the base or below it; a base that begins with a dot is not below itself."""
    folded, outer = name.lower(), base.lower()
    return not outer or folded == outer or folded.endswith(outer if outer[0] == "." else f".{outer}")


def _same(name: str, base: str) -> bool:
    return name.lower() == base.lower()


def _folded(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    return [
        frozenset((item.oid.dotted_string, " ".join(str(item.value).split()).casefold()) for item in part)
        for part in name.rdns
    ]
