"""A line in the log for each event that people should know of; never a key, never a PEM."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from mtls_server.files.faults import MaterialError
from mtls_server.files.material import Generation
from mtls_server.identity import Identity, Refusal
from mtls_server.live import Cut
from mtls_server.tls.failures import Presented, read_presented

LOGGER: Final = logging.getLogger("mtls_server")
MAX_SHOWN: Final = 256
"""Characters of a name in a line."""


def handshake_failed(peername: object, reason: str, presented: Presented | None) -> None:
    """Say who was refused and why."""
    fields: dict[str, object] = {"peer": _address(peername), "reason": reason}
    if presented is not None:
        fields["presented"] = {**_describe(presented), "note": "as presented, possession unproven"}
    _warn("handshake_failed", fields, "handshake failed: %s", reason)


def connection_failed(peername: object, reason: str) -> None:
    """Say on whose connection TLS broke."""
    fields = {"peer": _address(peername), "reason": reason}
    _warn("connection_failed", fields, "connection failed: %s", reason)


def accepting_paused(reason: str) -> None:
    """Say that no connection is accepted for now."""
    _warn("accepting_paused", {}, "accepting paused: %s", reason)


def peer_refused(peername: object, leaf: bytes, refusal: Refusal) -> None:
    """Say which peer passed the handshake, so has the key of its certificate, and is not served."""
    fields: dict[str, object] = {"peer": _address(peername), "reason": refusal.reason}
    presented = read_presented(leaf)
    if presented is not None:
        fields["certificate"] = _describe(presented)
    _warn("peer_refused", fields, "peer refused: %s", refusal.message)


def connection_cut(cut: Cut) -> None:
    """Say which connected peer is served no more."""
    fields = {
        "peer": _address(cut.peername),
        "reason": cut.reason,
        "certificate": _describe_served(cut.identity),
    }
    _warn("connection_cut", fields, "connection cut: %s", cut.reason)


def generation_published(generation: Generation) -> None:
    """Say which certificate serves from now on."""
    fields = {
        "event": "generation_published",
        "generation": generation.number,
        "digest": generation.digest,
        "serial": generation.serial,
        "not_after": generation.not_after,
        "anchors": generation.anchors,
    }
    LOGGER.info("generation %d serves", generation.number, extra={"fields": fields})


def generation_confirmed(generation: Generation) -> None:
    """Say that a refusal is over."""
    fields = {"event": "generation_confirmed", "generation": generation.number}
    LOGGER.info("the files are those that serve again", extra={"fields": fields})


def delivery_refused(error: MaterialError) -> None:
    """Say why new files do not serve; what served before still does."""
    fields = {"event": "delivery_refused", "reason": error.fault}
    LOGGER.error("new files refused: %s", error, extra={"fields": fields})


def _warn(event: str, fields: Mapping[str, object], words: str, why: str) -> None:
    LOGGER.warning(words, why, extra={"fields": {"event": event, **fields}})


def _describe(presented: Presented) -> dict[str, object]:
    return {"subject": presented.subject, "serial": presented.serial, "not_after": presented.not_after}


def _describe_served(identity: Identity) -> dict[str, object]:
    return {
        "subject": identity.subject.dn[:MAX_SHOWN],
        "serial": identity.serial[:MAX_SHOWN],
        "not_after": identity.valid_to,
    }


def _address(peername: object) -> str:
    if isinstance(peername, Sequence) and len(peername) >= 2:
        host, port = peername[0], peername[1]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return "unknown"
