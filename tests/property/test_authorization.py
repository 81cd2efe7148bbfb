"""What admission lets pass, the server understands: a policy that it refused would end all renewals."""

import re
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mtls_operator.api.rules import authorization, values
from mtls_operator.api.schema import Rule as AdmissionRule
from mtls_server.authorization.paths import canonical_path
from mtls_server.authorization.routes import Routes
from mtls_server.authorization.rules import Rules
from mtls_server.contract import Route, Rule


def admitted(first: AdmissionRule, *others: AdmissionRule) -> st.SearchStrategy[str]:
    """Make strings that satisfy CEL rules: the first describes all of a string, others what must not be."""
    forbidden = [_pattern(rule) for rule in others if rule.expression.startswith("!")]
    assert len(forbidden) == len(others)
    described = st.from_regex(_pattern(first), fullmatch=True).filter(bool)
    return described.filter(lambda text: not any(re.search(pattern, text) for pattern in forbidden))


def _pattern(rule: AdmissionRule) -> str:
    found = re.fullmatch(r"!?self\.matches\(r'\^?(.*?)\$?'\)", rule.expression)
    assert found is not None, rule.expression
    return found[1]


rules = st.one_of(
    st.builds(Rule, spiffe_id=admitted(*authorization.SPIFFE_ID)),
    st.builds(Rule, uri=admitted(authorization.URI)),
    st.builds(Rule, dns=admitted(values.HOST_NAME)),
    st.builds(Rule, fingerprint=admitted(authorization.FINGERPRINT)),
)
paths = admitted(*authorization.PATH)


@given(st.lists(rules, max_size=4))
def test_rules_that_are_admitted_compile(some: Sequence[Rule]) -> None:
    Rules.compile(some)


@given(paths, st.lists(admitted(authorization.METHOD), max_size=3).map(tuple))
def test_routes_that_are_admitted_compile(path: str, methods: tuple[str, ...]) -> None:
    Routes.compile([Route(path, methods=methods)])


@given(paths.filter(lambda path: "*" not in path))
def test_a_route_without_wildcards_is_found_by_its_own_path(path: str) -> None:
    canonical = canonical_path(path.encode())
    assert canonical is None or Routes.compile([Route(path)]).first("GET", canonical) is not None
