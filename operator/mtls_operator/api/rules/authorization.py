"""Rules of whom a service trusts: its authorities, further CAs, and whom their certificates stand for."""

from typing import Final

from mtls_operator.api.schema import Rule, matching

_TRUST_DOMAIN: Final = "[a-z0-9]([-._a-z0-9]*[a-z0-9])?"
_SEGMENT: Final = r"([-A-Za-z0-9._]+|\*)"
_PATH_SEGMENT: Final = r"([-A-Za-z0-9._~!$&+,;=:@()]+|\*)"
_DOTS: Final = r"/[.]{1,2}(/|$)"

AUTHORITY_SOURCE: Final = Rule(
    "!has(self.generated) || !has(self.secretRef)",
    "Write generated or secretRef, not both",
)
TRUST_SOURCE: Final = Rule(
    "has(self.configMapRef) != has(self.secretRef)",
    "Write either configMapRef or secretRef",
)
TRUST_NAME: Final = Rule("self != 'own'", "The source own is the service's own authority; write another name")

IDENTITY: Final = Rule(
    "[has(self.spiffeId), has(self.uri), has(self.dns), has(self.cn), has(self.fingerprint)]"
    ".filter(given, given).size() == 1",
    "Write exactly one of spiffeId, uri, dns, cn and fingerprint; several are several rules",
)
DENY: Final = Rule(
    "!self.?deny.orValue(false) || (self.?roles.orValue([]).size() == 0 && !has(self.tenant))",
    "A caller that is denied has no roles and no tenant; remove these, or deny",
)
KNOWN_SOURCE: Final = Rule(
    "!has(self.authorization) || !has(self.authorization.rules) || self.authorization.rules.all(rule,"
    " rule.?source.orValue('own') == 'own'"
    " || (has(self.trust) && self.trust.exists(source, source.name == rule.source)))",
    "The source of a rule is own or the name of an entry of trust; add that entry, or write its name",
    ".authorization.rules",
)
SPIFFE_ID: Final = (
    matching(
        f"spiffe://{_TRUST_DOMAIN}(/{_SEGMENT})+",
        "Write a SPIFFE id in which * may stand for one whole segment of the path, such as"
        " spiffe://shop.example/ns/*/sa/billing",
    ),
    Rule(
        f"!self.matches(r'{_DOTS}')",
        "A SPIFFE id has no segments . and ..; write it as the certificate has it",
    ),
)
URI: Final = matching(
    r"[a-z][-a-z0-9+.]*:[!-)+-~]+",
    "Write the whole URI with its scheme, such as https://billing.example/, and without *; only spiffeId"
    " takes patterns",
)
COMMON_NAME: Final = Rule(
    "!self.contains('*')", "A common name is compared as it is; only spiffeId takes patterns"
)
FINGERPRINT: Final = matching(
    "[0-9a-f]{64}",
    "Write the SHA-256 of the certificate as 64 hex digits in lower case, without colons",
)

PATH: Final = (
    matching(
        rf"(/{_PATH_SEGMENT})*(/|/\*\*)?",
        "Write a path such as /orders/*/lines or /orders/**: * stands for one whole segment, ** for any"
        " number of them at the end; without //, %, ? and #",
    ),
    Rule(f"!self.matches(r'{_DOTS}')", "A path has no segments . and ..; write the path that they lead to"),
)
METHOD: Final = matching("[A-Z]+", "Write a method in upper case, such as GET")
