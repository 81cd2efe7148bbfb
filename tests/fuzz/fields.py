"""Header fields as h11 tells them."""

from collections.abc import Iterable

Fields = list[tuple[bytes, bytes]]


def as_h11_tells(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return fields without spaces around their values, and transfer codings in lower case."""
    plain = [(name, value.strip(b" \t")) for name, value in fields]
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in plain]
