"""What the API server refuses, and the sentence with which it does.

The expressions keep to what Kubernetes 1.29 knows of CEL, since a server of version n takes from a new CRD
only what version n-1 had; so addresses are judged by patterns, without the later library for IP addresses.
"""

from typing import Final

from mtls_operator.api import durations, names
from mtls_operator.api.schema import Rule

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PYTHON_NAME: Final = "[A-Za-z_][A-Za-z0-9_]*"
_DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_TRUST_LABEL: Final = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_OCTET: Final = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_WORD: Final = "[A-Za-z0-9]([-A-Za-z0-9._:/]*[A-Za-z0-9])?"


def _matches(pattern: str, message: str) -> Rule:
    return Rule(f"self.matches(r'^{pattern}$')", message)


NAME: Final = Rule(
    "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')"
    " && !self.metadata.name.contains('-client-') && !self.metadata.name.endsWith('-client')",
    "An MTLSService is named by at most 52 lower-case letters, digits and inner hyphens, a letter first,"
    " without '-client-' and not ending in '-client', such as 'orders'",
    ".metadata.name",
)
DURATION: Final = Rule(
    f"self.matches('{durations.PATTERN}')",
    "Write a duration in hours, minutes and seconds, such as 24h, 90m or 1h30m",
)
PORT: Final = (
    Rule("self != 8081", "Port 8081 is the admin port of the server; write another one, such as 8443"),
    Rule("self >= 1024", "Ports below 1024 need a privilege that the server does not have; write 8443, say"),
)
EXTRA_PORT: Final = Rule(
    "self != 8081", "Port 8081 is the admin port of the server and stays closed; remove it"
)

ONE_BACKEND: Final = Rule(
    "[has(self.identity), has(self.asgi), has(self.wsgi), has(self.upstream), has(self.none)]"
    ".filter(chosen, chosen).size() == 1",
    "Write exactly one of identity, asgi, wsgi, upstream and none, and remove the others",
)
APPLICATION: Final = _matches(
    rf"{_PYTHON_NAME}(\.{_PYTHON_NAME})*:{_PYTHON_NAME}(\.{_PYTHON_NAME})*",
    "Write the module and the attribute of the application, such as shop.orders:app",
)

LABEL: Final = _matches(
    _LABEL, "Write a name of lower-case letters, digits and inner hyphens, such as 'billing'"
)
ROLE: Final = _matches(
    _WORD, "Write a role of letters, digits and inner '-', '.', '_', ':' and '/', such as 'reader'"
)
TENANT: Final = _matches(
    _WORD, "Write a tenant of letters, digits and inner '-', '.', '_', ':' and '/', such as 'acme'"
)

DNS_NAME: Final = _matches(
    rf"(\*\.)?{_DNS_LABEL}(\.{_DNS_LABEL})*",
    "Write a DNS name in lower case, such as orders.example.com or *.example.com",
)
IP_ADDRESS: Final = Rule(
    rf"self.matches(r'^{_OCTET}(\.{_OCTET}){{3}}$')"
    " || (self.matches('^([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}$') && !self.contains(':::')"
    " && self.matches('^(::|[0-9a-f])') && self.matches('(::|[0-9a-f])$')"
    " && (self.contains('::') ? self.indexOf('::') == self.lastIndexOf('::') && self.split(':').size() <= 8"
    " : self.split(':').size() == 8))",
    "Write an IP address, such as 192.0.2.7 or, in lower case, 2001:db8::7",
)
TRUST_DOMAIN: Final = _matches(
    rf"{_TRUST_LABEL}(\.{_TRUST_LABEL})*",
    "Write a trust domain in lower case, without scheme and port, such as shop.example.com",
)
KEY_SIZE: Final = Rule(
    "!has(self.size) || (self.?algorithm.orValue('ECDSA') == 'ECDSA' ? self.size in [256, 384]"
    " : self.algorithm == 'RSA' && self.size in [2048, 3072, 4096])",
    "Write 256 or 384 as the size of an ECDSA key, 2048, 3072 or 4096 for RSA, and none for Ed25519",
)


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


def _long_enough(authority: str) -> Rule:
    """Demand max(6 x longest leaf, 4 x (longest client leaf + longest leaf)) of an authority's duration.

    The maxima are written as a demand on every client; one without a duration of its own has that of
    the server, but at least 600 seconds, and the first client to come would have it too.
    """
    of_each = _in_seconds("leaf", "client.duration", "life >= 8 * leaf && life >= 4 * (leaf + server)")
    of_clients = (
        "has(self.clients) && self.clients.size() > 0"
        f" ? self.clients.all(client, has(client.duration) ? {of_each} : life >= 8 * server && life >= 4800)"
        " : life >= 8 * server"
    )
    of_all = _in_seconds("server", _CERTIFICATES_DURATION, f"life >= 6 * server && ({of_clients})")
    return Rule(
        _in_seconds("life", f"self.?authority.?{authority}.?generated.?duration.orValue('720h')", of_all),
        f"authority.{authority}.generated.duration (720h by default) is too short for these certificates;"
        " write at least 8 times the longest duration of a certificate, or shorten that",
        ".authority",
    )


AUTHORITIES: Final = (_long_enough("server"), _long_enough("client"))


def _not_with_none(field: str) -> Rule:
    return Rule(
        f"!has(self.backend) || !has(self.backend.none) || !has(self.{field})",
        f"With backend none the server is yours, so {field} would do nothing; remove it",
        f".{field}",
    )


NOT_WITH_NONE: Final = (
    *map(
        _not_with_none,
        ("authorization", "tls", "template", "image", "route", "service", "networkPolicy"),
    ),
    Rule(
        "!has(self.backend) || !has(self.backend.none)"
        " || !has(self.clients) || self.clients.all(client, !client.?revoked.orValue(false))",
        "With backend none the server is yours and knows no revoked clients; remove the client, and rotate"
        " the authority with distrust",
        ".clients",
    ),
)


def _not_yet(field: str) -> Rule:
    return Rule(f"!has(self.{field})", f"{field} is not yet supported; remove it", f".{field}")


NOT_YET_BACKENDS: Final = (
    Rule("!has(self.wsgi)", "wsgi is not yet supported; write asgi or identity", ".wsgi"),
    Rule("!has(self.upstream)", "upstream is not yet supported; write asgi or identity", ".upstream"),
)
NOT_YET_SPEC: Final = (
    *map(_not_yet, ("trust", "clientNamespaces", "restart", "authorization", "route")),
    Rule(
        "self.?deletionPolicy.orValue('Delete') == 'Delete'",
        "deletionPolicy Retain is not yet supported; write Delete",
        ".deletionPolicy",
    ),
)
NOT_YET_CLIENT: Final = (
    Rule(
        "!self.?revoked.orValue(false)",
        "revoked is not yet supported; remove the client, and its certificate is not renewed",
        ".revoked",
    ),
    *map(_not_yet, ("formats", "restart")),
)
NOT_YET_AUTHORITY: Final = (_not_yet("propagation"),)
NOT_YET_AUTHORITY_SOURCE: Final = (_not_yet("secretRef"),)

OUR_KEYS: Final = Rule(
    f"self.all(key, !key.startsWith('{names.GROUP}/'))",
    f"Keys that begin with {names.GROUP}/ belong to the operator; remove them",
)

NETWORK_POLICY_PEER: Final = Rule(
    "has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
    "Write either ipBlock, or podSelector and namespaceSelector, or one of these two",
)
SELECTOR_VALUES: Final = Rule(
    "self.operator in ['In', 'NotIn'] ? self.?values.orValue([]).size() > 0 : !has(self.values)",
    "Write values with In and NotIn, and none with Exists and DoesNotExist",
)

POD_IDENTITY: Final = Rule(
    "!has(self.serviceAccountName) && !has(self.serviceAccount) && !has(self.automountServiceAccountToken)",
    "The pods have a ServiceAccount of their own, without rights and token; remove serviceAccountName,"
    " serviceAccount and automountServiceAccountToken",
)
HOST_NAMESPACES: Final = Rule(
    "!has(self.hostNetwork) && !has(self.hostPID) && !has(self.hostIPC)",
    "The pods stay apart from their node; remove hostNetwork, hostPID and hostIPC",
)
EPHEMERAL_CONTAINERS: Final = Rule(
    "!has(self.ephemeralContainers)",
    "Ephemeral containers are added to a running pod, with kubectl debug; remove ephemeralContainers",
)
HOST_PATH: Final = Rule(
    "!has(self.hostPath)",
    "A path of the node would open the node to the pod; write an emptyDir or another volume",
)
SERVICE_ACCOUNT_TOKEN: Final = Rule(
    "!has(self.serviceAccountToken)",
    "The server's pods get no token of a ServiceAccount; remove serviceAccountToken",
)
OUR_VOLUME: Final = Rule(
    "self.name != 'mtls'", "The volume mtls carries the server's certificate; give yours another name"
)
SERVER_COMMAND: Final = Rule(
    "self.name != 'server' || (!has(self.command) && !has(self.args))",
    "The container server is started by its own command; remove command and args, or name your container"
    " differently",
)
PRIVILEGED: Final = Rule(
    "!self.?privileged.orValue(false)", "Containers run without privileges; remove privileged"
)
CAPABILITIES: Final = Rule("!has(self.add)", "Containers get no capabilities; remove add")
AUTHORITY_SECRET: Final = Rule(
    f"!self.startsWith('{names.AUTHORITY_PREFIX}')",
    f"Secrets that begin with '{names.AUTHORITY_PREFIX}' hold authorities, never mounted; name another",
)
