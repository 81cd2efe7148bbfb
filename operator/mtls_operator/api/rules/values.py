"""Rules of single values: names, numbers, addresses."""

from typing import Final

from mtls_operator.api import durations, names
from mtls_operator.api.schema import Rule, matching

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_TRUST_LABEL: Final = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
OCTET: Final = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_WORD: Final = "[A-Za-z0-9]([-A-Za-z0-9._:/]*[A-Za-z0-9])?"

NAME: Final = Rule(
    "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')"
    " && !self.metadata.name.contains('-client-') && !self.metadata.name.endsWith('-client')",
    "An MTLSService is named by at most 52 lower-case letters, digits and inner hyphens, a letter first,"
    " without '-client-' and not ending in '-client', such as 'orders'",
    ".metadata.name",
)
CLIENT_NAME: Final = Rule(
    f"self.metadata.name.size() <= 63 && self.metadata.name.matches('^{_LABEL}$')",
    "An MTLSClient is named by at most 63 lower-case letters, digits and inner hyphens, such as 'billing'",
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

LABEL: Final = matching(
    _LABEL, "Write a name of lower-case letters, digits and inner hyphens, such as 'billing'"
)
ROLE: Final = matching(
    _WORD, "Write a role of letters, digits and inner '-', '.', '_', ':' and '/', such as 'reader'"
)
TENANT: Final = matching(
    _WORD, "Write a tenant of letters, digits and inner '-', '.', '_', ':' and '/', such as 'acme'"
)

DNS_NAME: Final = matching(
    rf"(\*\.)?{_DNS_LABEL}(\.{_DNS_LABEL})*",
    "Write a DNS name in lower case, such as orders.example.com or *.example.com",
)
HOST_NAME: Final = matching(
    rf"{_DNS_LABEL}(\.{_DNS_LABEL})*",
    "Write a DNS name in lower case and without *, such as billing.example.com; only spiffeId takes patterns",
)
IP_ADDRESS: Final = Rule(
    rf"self.matches(r'^{OCTET}(\.{OCTET}){{3}}$')"
    " || (self.matches('^([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}$') && !self.contains(':::')"
    " && self.matches('^(::|[0-9a-f])') && self.matches('(::|[0-9a-f])$')"
    " && (self.contains('::') ? self.indexOf('::') == self.lastIndexOf('::') && self.split(':').size() <= 8"
    " : self.split(':').size() == 8))",
    "Write an IP address, such as 192.0.2.7 or, in lower case, 2001:db8::7",
)
TRUST_DOMAIN: Final = matching(
    rf"{_TRUST_LABEL}(\.{_TRUST_LABEL})*",
    "Write a trust domain in lower case, without scheme and port, such as shop.example.com",
)
KEY_SIZE: Final = Rule(
    "!has(self.size) || (self.?algorithm.orValue('ECDSA') == 'ECDSA' ? self.size in [256, 384]"
    " : self.algorithm == 'RSA' && self.size in [2048, 3072, 4096])",
    "Write 256 or 384 as the size of an ECDSA key, 2048, 3072 or 4096 for RSA, and none for Ed25519",
)

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

REFERENCE: Final = matching(
    "[-.a-z0-9]+",  # as short as it must be: clients have very many of them
    "Write the name of an object in lower-case letters, digits, hyphens and dots, such as 'orders-tls'",
)
SECRET_NAME: Final = matching(
    rf"{_LABEL}(\.{_LABEL})*",
    "Write the name of a Secret in lower-case letters, digits, inner hyphens and dots, such as 'orders-tls'",
)
AUTHORITY_SECRET: Final = Rule(
    f"!self.startsWith('{names.AUTHORITY_PREFIX}')",
    f"Secrets that begin with '{names.AUTHORITY_PREFIX}' hold authorities; name another",
)
IMMUTABLE_REFERENCE: Final = Rule(
    "self == oldSelf", "serviceRef does not change; delete this object, and write one for the other service"
)
