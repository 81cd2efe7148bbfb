"""What a WSGI application is told of the caller: Apache mod_ssl's variables, and what the policy says."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from mtls_server.identity import Identity

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=1024)
def caller_variables(identity: Identity, pem_chain: tuple[str, ...]) -> dict[str, object]:
    """Return variables for the environment; the same dictionary for the same caller, so copy it.

    Names and formats are those of https://httpd.apache.org/docs/2.4/mod/mod_ssl.html#envvars; ours begin
    with ``MTLS_``, and ``mtls.identity`` is the `Identity` itself.

    Args:
        identity: of the caller, with its TLS connection.
        pem_chain: the caller's certificate, then its intermediates.
    """
    leaf, *intermediates = pem_chain
    tls = identity.tls
    texts = {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_M_SERIAL": _octets(identity.serial),
        "SSL_CLIENT_S_DN": identity.subject.dn,
        "SSL_CLIENT_S_DN_CN": identity.subject.cn,
        "SSL_CLIENT_I_DN": identity.issuer.dn,
        "SSL_CLIENT_I_DN_CN": identity.issuer.cn,
        "SSL_CLIENT_V_START": _asn1_time(identity.valid_from),
        "SSL_CLIENT_V_END": _asn1_time(identity.valid_to),
        "SSL_CLIENT_CERT": leaf,
        "SSL_PROTOCOL": None if tls is None else tls.version,
        "SSL_CIPHER": None if tls is None else tls.cipher,
        "MTLS_CLIENT": identity.client,
        "MTLS_SOURCE": identity.source,
        "MTLS_ROLES": ",".join(identity.roles),
        "MTLS_TENANT": identity.tenant,
        "MTLS_URI": identity.uri,
        "MTLS_SPIFFE_ID": identity.spiffe_id,
        "MTLS_FINGERPRINT_SHA256": identity.fingerprint_sha256,
        **{f"SSL_CLIENT_CERT_CHAIN_{number}": pem for number, pem in enumerate(intermediates)},
        **{f"SSL_CLIENT_SAN_DNS_{number}": name for number, name in enumerate(identity.dns_names)},
        **{f"SSL_CLIENT_SAN_Email_{number}": name for number, name in enumerate(identity.email_addresses)},
    }
    told = {name: text.encode().decode("latin-1") for name, text in texts.items() if text is not None}
    return {"mtls.identity": identity, **told}


def _octets(serial: str) -> str:
    return serial.upper().zfill(len(serial) + len(serial) % 2)


def _asn1_time(moment: datetime) -> str:
    """Write a time as OpenSSL prints it, whatever the locale: ``Nov  4 11:43:57 2026 GMT``."""
    utc = moment.astimezone(UTC)
    return f"{_MONTHS[utc.month - 1]} {utc.day:2} {utc:%H:%M:%S} {utc.year} GMT"
