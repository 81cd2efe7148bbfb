"""The header fields that tell the server behind this one who calls."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from mtls_server.identity import Identity

_URI: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
"""The characters of RFC 3986 §2."""
_DNS_NAME: Final = re.compile(r"[A-Za-z0-9._*-]+")
_PLAIN: Final = "!#$&'*+-.^_`|~:/@ "
"""What stays as it is in names, roles and tenants, beside letters and digits: never ``,`` or ``%``."""


@lru_cache(maxsize=1024)
def caller_fields(identity: Identity, pem_chain: tuple[str, ...], *, with_chain: bool) -> bytes:
    r"""Encode what a request says of its caller, as lines that each end in CRLF.

    ``Client-Cert`` and ``Client-Cert-Chain`` are those of RFC 9440, ``X-Forwarded-Client-Cert`` is Envoy's,
    ``X-Mtls-…`` is what the policy says.

    Args:
        identity: of the caller.
        pem_chain: the caller's certificate, then its intermediates.
        with_chain: whether the intermediates are told.
    """
    leaf, *intermediates = [_byte_sequence(pem) for pem in pem_chain]
    fields = [("client-cert", leaf)]
    if with_chain and intermediates:
        fields.append(("client-cert-chain", ", ".join(intermediates)))
    fields.append(("x-forwarded-client-cert", _forwarded_client_cert(identity)))
    fields += [
        (f"x-mtls-{name}", quote(value, safe=_PLAIN))
        for name, value in (
            ("client", identity.client),
            ("source", identity.source),
            ("tenant", identity.tenant),
        )
        if value is not None
    ]
    fields.append(("x-mtls-roles", ", ".join(quote(role, safe=_PLAIN) for role in identity.roles)))
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii")


def _byte_sequence(pem: str) -> str:
    """Return the certificate as a structured field has it: its DER in base64 between colons (RFC 9651)."""
    _, *lines, _ = pem.split()[1:-1]
    return f":{''.join(lines)}:"


def _forwarded_client_cert(identity: Identity) -> str:
    """Return one element of Envoy's field.

    A name that is not made as such names are is left out, not changed into another one.
    """
    pairs = [
        ("Hash", identity.fingerprint_sha256.replace(":", "").lower()),
        ("Subject", _quoted(identity.subject.dn)),
    ]
    if identity.uri is not None:
        pairs += _pairs("URI", [identity.uri], _URI)
    pairs += _pairs("DNS", identity.dns_names, _DNS_NAME)
    return ";".join(f"{key}={value}" for key, value in pairs)


def _pairs(key: str, names: Sequence[str], well_formed: re.Pattern[str]) -> Iterable[tuple[str, str]]:
    return (
        (key, f'"{name}"' if set(name) & set(",;=") else name)
        for name in names
        if well_formed.fullmatch(name)
    )


def _quoted(dn: str) -> str:
    r"""Quote a name in which RFC 4514 has escaped ``"`` and ``\`` already; all else it escapes as octets."""
    return '"' + "".join(char if " " <= char <= "~" else _octets(char) for char in dn) + '"'


def _octets(char: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in char.encode("utf-8", "surrogatepass"))
