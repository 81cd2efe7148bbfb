"""Who may send which requests: the policy's routes, compiled. The first route that matches decides."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final, Self

from mtls_server.contract import Route

MAX_REMEMBERED: Final = 256
"""Length of a path up to which it is remembered which route decides on it."""
_METHOD: Final = re.compile(r"[A-Z]+")
_SEGMENT: Final = re.compile(r"\*|[^/*%?#\\\x00-\x20\x7f]+")


@dataclass(frozen=True)
class NumberedRoute:
    """A route, and where the policy lists it."""

    number: int
    """Counts from 0."""
    route: Route
    methods: frozenset[str]
    """Empty: all."""
    roles: frozenset[str]

    def __str__(self) -> str:
        return f"routes[{self.number}]"

    def permits(self, roles: Iterable[str]) -> bool:
        """Tell whether a caller with these roles may pass."""
        return not self.roles or not self.roles.isdisjoint(roles)


@dataclass
class _Node:
    """The routes whose paths begin alike."""

    children: dict[str, "_Node"] = field(default_factory=dict)
    wild: "_Node | None" = None
    """Below ``*``."""
    ends: list[NumberedRoute] = field(default_factory=list)
    """Routes whose path ends here."""
    rests: list[NumberedRoute] = field(default_factory=list)
    """Routes whose path goes on with ``**``."""

    def descend(self, segment: str) -> "_Node":
        """Return the node of a pattern's next segment."""
        if segment != "*":
            return self.children.setdefault(segment, _Node())
        self.wild = self.wild or _Node()
        return self.wild

    def below(self, segment: str) -> "list[_Node]":
        """Return the nodes that a path's next segment leads to; an empty one stands for nothing."""
        found = (self.children.get(segment), self.wild if segment else None)
        return [node for node in found if node is not None]


@dataclass(frozen=True)
class Routes:
    """All routes of a policy, as a tree of segments: the length of a path decides how long a search takes."""

    count: int
    root: _Node

    @classmethod
    def compile(cls, routes: Sequence[Route]) -> Self:
        """Prepare the policy's routes.

        Raises:
            ValueError: a path or method can match nothing, or not what it seems to.
        """
        root = _Node()
        for number, route in enumerate(routes):
            segments = _check(f"routes[{number}]", route)
            methods = frozenset(route.methods) | ({"HEAD"} if "GET" in route.methods else frozenset())
            numbered = NumberedRoute(number, route, methods, frozenset(route.roles))
            node = root
            for segment in segments:
                if segment == "**":
                    node.rests.append(numbered)
                    break
                node = node.descend(segment)
            else:
                node.ends.append(numbered)
        return cls(len(routes), root)

    def __bool__(self) -> bool:
        return self.count > 0

    def first(self, method: str, path: str) -> NumberedRoute | None:
        """Find the route that decides on a request.

        Args:
            method: as received.
            path: canonical (`mtls_server.authorization.paths`); a slash at its end makes no difference.
        """
        return self._recall(method, path) if len(path) <= MAX_REMEMBERED else self._find(method, path)

    @cached_property
    def _recall(self) -> Callable[[str, str], NumberedRoute | None]:
        return lru_cache(1024)(self._find)

    def _find(self, method: str, path: str) -> NumberedRoute | None:
        matching: list[NumberedRoute] = []
        nodes = [self.root]
        for segment in _segments(path):
            for node in nodes:
                matching += node.rests
            nodes = [below for node in nodes for below in node.below(segment)]
            if not nodes:
                break
        for node in nodes:
            matching += node.rests + node.ends
        passing = (route for route in matching if not route.methods or method in route.methods)
        return min(passing, key=_number, default=None)


def _segments(path: str) -> list[str]:
    return path.removesuffix("/").split("/")[1:]


def _number(route: NumberedRoute) -> int:
    return route.number


def _check(where: str, route: Route) -> Sequence[str]:
    if not all(_METHOD.fullmatch(method) for method in route.methods):
        raise ValueError(f"{where}: write methods in upper case, such as GET")
    if not route.path.startswith("/"):
        raise ValueError(f"{where}: a path begins with /")
    segments = _segments(route.path)
    named = segments[:-1] if segments[-1:] == ["**"] else segments
    if not all(_is_segment(segment) for segment in named):
        raise ValueError(
            f"{where}: write a path such as /orders/*/lines or /orders/**: * stands for one whole segment,"
            " ** for any number of them at the end; without //, ., .., % and ?"
        )
    return segments


def _is_segment(segment: str) -> bool:
    return _SEGMENT.fullmatch(segment) is not None and segment not in {".", ".."}
