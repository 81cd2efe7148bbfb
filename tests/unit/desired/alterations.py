"""Every way in which a part of an object can be altered by a foreign hand."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Path = tuple[str | int, ...]
Alteration = tuple[Path, dict[str, Any]]


def altered(original: dict[str, Any]) -> Iterator[Alteration]:
    """Yield the path of each scalar and empty field, and the object with another value there."""
    for path in paths(original):
        changed = deepcopy(original)
        parent, last = _last_step(changed, path)
        parent[last] = _other(parent[last])
        yield path, changed


def cropped(original: dict[str, Any]) -> Iterator[Alteration]:
    """Yield the path of each scalar and empty field, and the object without it."""
    for path in paths(original):
        changed = deepcopy(original)
        parent, last = _last_step(changed, path)
        del parent[last]
        yield path, changed


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all scalar and empty fields below this one."""
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from paths(child, (*path, name))
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            yield from paths(child, (*path, index))
    else:
        yield path


def _last_step(value: Any, path: Path) -> tuple[Any, str | int]:
    for name in path[:-1]:
        value = value[name]
    return value, path[-1]


def _other(value: object) -> object:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case _:
            return None
