"""Whom certificates stand for beside the listed clients: the policy's rules, compiled.

Of the rules that match a caller, one that denies wins; else the first one grants.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from mtls_server.contract import Rule
from mtls_server.identity import Identity

_SPIFFE_PATTERN: Final = re.compile(r"spiffe://[a-z0-9._-]+(?:/(?:\*|(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+))+")
_DNS: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


class NumberedRule(NamedTuple):
    """A rule, and where the policy lists it, counted from 0."""

    number: int
    rule: Rule

    def __str__(self) -> str:
        return f"rules[{self.number}]"


class Name(NamedTuple):
    """What a certificate may be called by a rule."""

    source: str
    kind: str
    """The field of the rule."""
    value: str


@dataclass(frozen=True)
class Matcher:
    """Finds the first of some rules; exact ones by name, however many there are."""

    exact: Mapping[Name, NumberedRule]
    wild: Mapping[str, Sequence[tuple[re.Pattern[str], NumberedRule]]]
    """By source: patterns of SPIFFE ids."""

    @classmethod
    def of(cls, rules: Sequence[NumberedRule]) -> Self:
        """Sort the rules by how they are found."""
        exact: dict[Name, NumberedRule] = {}
        wild = defaultdict[str, list[tuple[re.Pattern[str], NumberedRule]]](list)
        for numbered in rules:
            rule = numbered.rule
            if rule.spiffe_id is not None and "*" in rule.spiffe_id:
                wild[rule.source].append((_pattern(rule.spiffe_id), numbered))
            else:
                exact.setdefault(name_of(rule), numbered)
        return cls(exact, wild)

    def first(self, identity: Identity, source: str) -> NumberedRule | None:
        """Find the first rule that matches a caller for whom `source` vouches."""
        found = [self.exact[name] for name in names(identity, source) if name in self.exact]
        if identity.spiffe_id is not None:
            wild = self.wild.get(source, ())
            found += [rule for pattern, rule in wild if pattern.fullmatch(identity.spiffe_id)][:1]
        return min(found, key=_number, default=None)


@dataclass(frozen=True)
class Rules:
    """All rules of a policy."""

    denying: Matcher
    granting: Matcher

    @classmethod
    def compile(cls, rules: Sequence[Rule]) -> Self:
        """Prepare the policy's rules.

        Raises:
            ValueError: a rule can match nobody, or not whom it seems to.
        """
        for number, rule in enumerate(rules):
            _check(f"rules[{number}]", rule)
        numbered = [NumberedRule(number, rule) for number, rule in enumerate(rules)]
        return cls(
            denying=Matcher.of([one for one in numbered if one.rule.deny]),
            granting=Matcher.of([one for one in numbered if not one.rule.deny]),
        )


def names(identity: Identity, source: str) -> Iterator[Name]:
    """Return all names by which a rule may know a caller; a wildcard among its DNS names is none."""
    yield Name(source, "fingerprint", identity.fingerprint_sha256)
    if identity.uri is not None:
        yield Name(source, "uri", identity.uri)
    if identity.spiffe_id is not None:
        yield Name(source, "spiffe_id", identity.spiffe_id)
    if identity.subject.cn is not None:
        yield Name(source, "cn", identity.subject.cn)
    for name in identity.dns_names:
        if "*" not in name:
            yield Name(source, "dns", name.lower())


def name_of(rule: Rule) -> Name:
    """Return whom a rule is about; fingerprints are written as in an `Identity`."""
    if rule.fingerprint is not None:
        return Name(rule.source, "fingerprint", bytes.fromhex(rule.fingerprint).hex(":").upper())
    kind, value = _given(rule)[0]
    return Name(rule.source, kind, value)


def _given(rule: Rule) -> list[tuple[str, str]]:
    kinds = "spiffe_id", "uri", "dns", "cn", "fingerprint"
    return [(kind, value) for kind in kinds if (value := getattr(rule, kind)) is not None]


def _check(where: str, rule: Rule) -> None:
    if len(_given(rule)) != 1:
        raise ValueError(f"{where}: write exactly one of spiffeId, uri, dns, cn and fingerprint")
    if rule.spiffe_id is not None and not _SPIFFE_PATTERN.fullmatch(rule.spiffe_id):
        raise ValueError(
            f"{where}: write a SPIFFE id in which * may stand for one whole segment of the path,"
            " such as spiffe://shop.example/ns/*/sa/billing"
        )
    if rule.dns is not None and not _DNS.fullmatch(rule.dns):
        raise ValueError(f"{where}: write a DNS name in lower case and without *")
    if rule.fingerprint is not None and not _FINGERPRINT.fullmatch(rule.fingerprint):
        raise ValueError(f"{where}: write a SHA-256 as 64 hex digits in lower case")


def _pattern(spiffe_id: str) -> re.Pattern[str]:
    return re.compile(re.escape(spiffe_id).replace(r"\*", "[^/]+"))


def _number(rule: NumberedRule) -> int:
    return rule.number
