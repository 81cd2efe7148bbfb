"""Who may send which requests: the policy's routes, compiled. The first route that matches decides."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from mtls_server.contract import Route

_METHOD: Final = re.compile(r"[A-Z]+")
_SEGMENT: Final = re.compile(r"\*|[^/*%?#\\\x00-\x20\x7f]+")


@dataclass(frozen=True)
class NumberedRoute:
    """A route, and where the policy lists it."""

    number: int
    """Counts from 0."""
    methods: frozenset[str]
    """Empty: all."""
    roles: frozenset[str]
    pattern: re.Pattern[str]
    route: Route

    def __str__(self) -> str:
        return f"routes[{self.number}]"

    def matches(self, method: str, path: str) -> bool:
        """Tell whether the route is about such requests; `path` without a slash at its end."""
        return (not self.methods or method in self.methods) and self.pattern.fullmatch(path) is not None

    def permits(self, roles: Iterable[str]) -> bool:
        """Tell whether a caller with these roles may pass."""
        return not self.roles or not self.roles.isdisjoint(roles)


@dataclass(frozen=True)
class Routes:
    """All routes of a policy. A route without wildcards is found by its path, however many there are."""

    exact: Mapping[str, Sequence[NumberedRoute]]
    wild: Sequence[NumberedRoute]

    @classmethod
    def compile(cls, routes: Sequence[Route]) -> Self:
        """Prepare the policy's routes.

        Raises:
            ValueError: a path or method can match nothing, or not what it seems to.
        """
        exact = defaultdict[str, list[NumberedRoute]](list)
        wild = []
        for number, route in enumerate(routes):
            compiled = _compile(number, route)
            if "*" in route.path:
                wild.append(compiled)
            else:
                exact[_bare(route.path)].append(compiled)
        return cls(exact, wild)

    def __bool__(self) -> bool:
        return bool(self.exact or self.wild)

    def first(self, method: str, path: str) -> NumberedRoute | None:
        """Find the route that decides on a request.

        Args:
            method: as received.
            path: canonical (`mtls_server.paths`); a slash at its end makes no difference.
        """
        bare = _bare(path)
        exact = next((route for route in self.exact.get(bare, ()) if route.matches(method, bare)), None)
        for route in self.wild:
            if exact is not None and exact.number < route.number:
                break
            if route.matches(method, bare):
                return route
        return exact


def _bare(path: str) -> str:
    return path.removesuffix("/")


def _compile(number: int, route: Route) -> NumberedRoute:
    where = f"routes[{number}]"
    if not all(_METHOD.fullmatch(method) for method in route.methods):
        raise ValueError(f"{where}: write methods in upper case, such as GET")
    if not route.path.startswith("/"):
        raise ValueError(f"{where}: a path begins with /")
    segments = _bare(route.path).split("/")[1:]
    rest = segments[-1:] == ["**"]
    if not all(_is_segment(segment) for segment in (segments[:-1] if rest else segments)):
        raise ValueError(
            f"{where}: write a path such as /orders/*/lines or /orders/**: * stands for one whole segment,"
            " ** for any number of them at the end; without //, ., .., % and ?"
        )
    pattern = "".join(_expression(segments[:-1] if rest else segments))
    methods = frozenset(route.methods) | ({"HEAD"} if "GET" in route.methods else frozenset())
    return NumberedRoute(
        number,
        methods,
        frozenset(route.roles),
        re.compile(pattern + "(?:/.*)?" if rest else pattern, re.DOTALL),
        route,
    )


def _is_segment(segment: str) -> bool:
    return _SEGMENT.fullmatch(segment) is not None and segment not in {".", ".."}


def _expression(segments: Collection[str]) -> Iterator[str]:
    for segment in segments:
        yield "/[^/]+" if segment == "*" else "/" + re.escape(segment)
