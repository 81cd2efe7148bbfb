"""Rules of what stands behind mTLS, and of what has no meaning with it."""

from typing import Final

from mtls_operator.api.rules.values import OCTET
from mtls_operator.api.schema import Rule, matching

_PYTHON_NAME: Final = "[A-Za-z_][A-Za-z0-9_]*"
_HOST: Final = r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}\])"
_LOOPBACK: Final = rf"(localhost|127(\.{OCTET}){{3}}|\[::1\])"
_PORT: Final = (
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"  # up to 65535
)
_CERTIFICATES_ONLY: Final = "has(self.backend) && has(self.backend.none)"

ONE_BACKEND: Final = Rule(
    "[has(self.identity), has(self.asgi), has(self.wsgi), has(self.upstream), has(self.none)]"
    ".filter(chosen, chosen).size() == 1",
    "Write exactly one of identity, asgi, wsgi, upstream and none, and remove the others",
)
APPLICATION: Final = matching(
    rf"{_PYTHON_NAME}(\.{_PYTHON_NAME})*:{_PYTHON_NAME}(\.{_PYTHON_NAME})*",
    "Write the module and the attribute of the application, such as shop.orders:app",
)
UPSTREAM_URL: Final = matching(
    f"http://{_HOST}:{_PORT}/?",
    "Write scheme, host and port only, in lower case, such as http://127.0.0.1:8080",
)
UPSTREAM_EXPOSED: Final = Rule(
    f"self.?insecureAcknowledged.orValue(false) || self.url.matches(r'^http://{_LOOPBACK}:')",
    "Whoever reaches a server beyond loopback passes mTLS by; write http://127.0.0.1:<port> and run it in"
    " this pod, or close it by a NetworkPolicy and write insecureAcknowledged: true",
    ".url",
)
TIMEOUT: Final = Rule(
    "!self.matches('^0+[hms](0+[hms])*$')", "A timeout of nothing lets no request pass; write 1s or more"
)
RESTART: Final = Rule(
    f"({_CERTIFICATES_ONLY}) || self.?restart.orValue([]).size() == 0",
    "The server of this backend loads new certificates by itself; remove restart, or write it for a client",
    ".restart",
)


def _not_with_none(field: str) -> Rule:
    return Rule(
        f"!({_CERTIFICATES_ONLY}) || !has(self.{field})",
        f"With backend none the server is yours, so {field} would do nothing; remove it",
        f".{field}",
    )


NOT_WITH_NONE: Final = (
    *map(
        _not_with_none,
        ("authorization", "tls", "template", "image", "route", "service", "networkPolicy"),
    ),
    Rule(
        f"!({_CERTIFICATES_ONLY})"
        " || !has(self.clients) || self.clients.all(client, !client.?revoked.orValue(false))",
        "With backend none the server is yours and knows no revoked clients; remove the client, and rotate"
        " the authority with distrust",
        ".clients",
    ),
)
ROUTE: Final = Rule("!has(self.route)", "route is not yet supported; remove it", ".route")
