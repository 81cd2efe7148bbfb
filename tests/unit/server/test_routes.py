"""Who may send which requests: the first route that matches decides."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtls_server.authorization.routes import Routes
from mtls_server.contract import Route
from mtls_server.http.gate import judge_route
from mtls_server.identity import parse
from tests.unit.server import pki
from tests.unit.server.conftest import World

ORDERS = Routes.compile(
    [
        Route("/orders/*/lines", methods=("GET",), roles=("reader", "writer")),
        Route("/orders/special", roles=("special",)),
        Route("/orders/*", roles=("writer",)),
        Route("/health"),
        Route("/admin/**", roles=("admin",)),
        Route("/", methods=("GET",)),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "number"),
    [
        ("GET", "/orders/1/lines", 0),
        ("HEAD", "/orders/1/lines", 0),
        ("POST", "/orders/1/lines", None),
        ("GET", "/orders/1/lines/", 0),
        ("GET", "/orders/1/2/lines", None),
        ("GET", "/orders//lines", None),
        ("GET", "/orders/special", 1),
        ("GET", "/orders/specials", 2),
        ("GET", "/orders", None),
        ("GET", "/orders/", None),
        ("GET", "/health", 3),
        ("GET", "/health/", 3),
        ("GET", "/Health", None),
        ("get", "/orders/1/lines", None),
        ("GET", "/admin", 4),
        ("GET", "/admin/", 4),
        ("DELETE", "/admin/a/b\nc", 4),
        ("GET", "/administrator", None),
        ("GET", "/", 5),
        ("POST", "/", None),
    ],
)
def test_the_first_route_that_matches_decides(method: str, path: str, number: int | None) -> None:
    found = ORDERS.first(method, path)
    assert (found and found.number) == number


def test_a_route_further_down_decides_nothing_however_exact_it_is() -> None:
    routes = Routes.compile([Route("/**", roles=("admin",)), Route("/health")])
    assert str(routes.first("GET", "/health")) == "routes[0]"


def test_the_caller_needs_one_of_the_roles() -> None:
    route = ORDERS.first("GET", "/orders/1/lines")
    assert route is not None
    assert [route.permits(roles) for roles in (["writer"], ["x", "reader"], ["admin"], [])] == [
        True,
        True,
        False,
        False,
    ]


def test_a_route_without_roles_is_for_everybody_who_is_known() -> None:
    route = ORDERS.first("GET", "/health")
    assert route is not None
    assert route.permits([])


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/admin;x", False),
        ("/admin;x=1/users", False),
        ("/;x/admin", False),
        ("/a;/;b/c;d", True),
        ("/exactly;x", False),
    ],
)
def test_a_path_passes_with_the_parameters_of_its_segments_and_without(
    path: str, world: World, *, passes: bool
) -> None:
    """Java's servers take `;` and what follows it off each segment, others do not."""
    routes = Routes.compile(
        [Route("/admin/**", roles=("admin",)), Route("/exactly", roles=("admin",)), Route("/**")]
    )
    caller = parse(pki.client(world.client_authority).der)
    assert (judge_route(routes, caller, "GET", path) is None) is passes


@pytest.mark.parametrize(
    ("route", "sentence"),
    [
        (Route("orders"), r"routes\[0\]: a path begins with /"),
        (Route("/orders", methods=("get",)), "methods in upper case"),
        *(
            (Route(path), "write a path such as")
            for path in [
                "/a//b",
                "/a/../b",
                "/a/.",
                "/**/a",
                "/a*",
                "/***",
                "/a%2fb",
                "/a?b",
                "/a\\b",
                "/a#b",
            ]
        ),
    ],
)
def test_a_route_that_cannot_mean_what_it_says_is_refused(route: Route, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Routes.compile([route])


@given(
    st.lists(st.sampled_from(["/", "/a", "/b/", "/a/*", "/*", "/**", "/a/**", "/*/b"]), max_size=6),
    st.sampled_from(["/", "/a", "/b", "/b/", "/a/b", "/c/b", "/a/b/c", "/a/"]),
)
def test_the_index_finds_what_a_list_would(patterns: list[str], path: str) -> None:
    found = Routes.compile([Route(pattern) for pattern in patterns]).first("GET", path)
    expected = next((number for number, pattern in enumerate(patterns) if matches(pattern, path)), None)
    assert (found and found.number) == expected


def matches(pattern: str, path: str) -> bool:
    stem, rest = pattern.removesuffix("/**").removesuffix("/"), pattern.endswith("/**")
    expression = re.escape(stem).replace(r"\*", "[^/]+") + ("(/.*)?" if rest else "")
    return re.fullmatch(expression, path.removesuffix("/")) is not None
