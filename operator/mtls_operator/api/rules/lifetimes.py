"""Rules of how long certificates and authorities hold."""

from typing import Final

from mtls_operator.api import durations
from mtls_operator.api.schema import Rule


def _in_seconds(name: str, spelled: str, demand: str) -> str:
    """Demand something of a duration, under a name and in seconds; `DURATION` judges how it is spelled.

    CEL has no variables here, so a loop over a list of one gives the value its name.
    """
    return (
        f"[{spelled}].all(spelled, !spelled.matches('{durations.PATTERN}')"
        f" || [duration(spelled).getSeconds()].all({name}, {demand}))"
    )


_DURATION: Final = "self.?duration.orValue('24h')"
_CERTIFICATES_DURATION: Final = "self.?certificates.?duration.orValue('24h')"

SHORTEST_CERTIFICATE: Final = Rule(
    _in_seconds("duration", _DURATION, "duration >= 60"),
    "A certificate must hold for at least 60s; write a longer duration, such as 24h",
)
SHORTEST_CERTIFICATE_OF_OTHERS: Final = Rule(
    "!has(self.backend) || !has(self.backend.none) || "
    + _in_seconds("duration", _CERTIFICATES_DURATION, "duration >= 600"),
    "With backend none a certificate must hold for at least 10m, since mounted Secrets arrive late;"
    " write a longer certificates.duration, such as 24h",
)
RENEW_BEFORE: Final = Rule(
    "!has(self.renewBefore) || "
    + _in_seconds(
        "before",
        "self.renewBefore",
        "before >= 30 && " + _in_seconds("duration", _DURATION, "duration - before >= 30"),
    ),
    "Write a renewBefore of at least 30s that is at least 30s shorter than duration (24h by default)",
)


SHORTEST_PROPAGATION: Final = Rule(
    _in_seconds("propagation", "self", "propagation >= 10"),
    "Callers need time for a new trust bundle; write at least 10s, or minutes where Secrets are mounted",
)


def _of_all_leaves(server: str, callers: str, client: str) -> str:
    """Make demands on `life` for the server's certificate, the callers' default, and a client's own duration.

    A caller without a duration of its own has that of the server, but at least 600 seconds.
    """
    return _in_seconds(
        "server",
        _CERTIFICATES_DURATION,
        f"{server} && (self.?clientNamespaces.orValue([]).size() == 0 || {callers})"
        " && (!has(self.clients) || self.clients.all(client,"
        f" has(client.duration) ? {_in_seconds('leaf', 'client.duration', client)} : {callers}))",
    )


_WITH_DEFAULT_PROPAGATION: Final = _of_all_leaves(
    server="(life >= 8 * server || (life >= 6 * server && self.?clients.orValue([]).size() > 0))",
    callers="life >= 8 * server && life >= 4800",
    client="life >= 8 * leaf && life >= 4 * (leaf + server)",
)
_WITH_CHOSEN_PROPAGATION: Final = _in_seconds(
    "wait",
    "self.authority.propagation",
    _of_all_leaves(
        server="life >= 6 * server && life >= 4 * (wait + server)",
        callers="life >= 3600 && life >= 4 * (wait + 600)",
        client="life >= 6 * leaf && life >= 4 * (wait + leaf)",
    ),
)


def _long_enough(role: str) -> tuple[Rule, Rule]:
    """Demand max(6 x longest leaf, 4 x (propagation + longest leaf)) of an authority that is generated.

    Where propagation is not chosen, it is the longest duration of a caller's certificate.
    """
    life = f"self.?authority.?{role}.?generated.?duration.orValue('720h')"
    given = f"self.?authority.?{role}.?secretRef.hasValue()"
    chosen = "self.?authority.?propagation.hasValue()"
    too_short = f"authority.{role}.generated.duration (720h by default) is too short for"
    return (
        Rule(
            f"{given} || {chosen} || {_in_seconds('life', life, _WITH_DEFAULT_PROPAGATION)}",
            f"{too_short} these certificates; write at least 8 times the longest duration of a certificate,"
            " or shorten that",
            ".authority",
        ),
        Rule(
            f"{given} || !{chosen} || {_in_seconds('life', life, _WITH_CHOSEN_PROPAGATION)}",
            f"{too_short} propagation; write at least 4 times the sum of propagation and the longest duration"
            " of a certificate, and 6 times the latter, or shorten these",
            ".authority",
        ),
    )


SERVER_AUTHORITY: Final = _long_enough("server")
CLIENT_AUTHORITY: Final = _long_enough("client")
