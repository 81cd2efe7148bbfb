"""Strategic merge of partial objects, as `kubectl patch` does it, without its `$patch` directives."""

from typing import Any

from .lists import indexed

Object = dict[str, Any]


def merge(base: Object, patch: Object, *, enclosing: str = "") -> Object:
    """Return `base` with `patch` laid over it; neither is changed.

    Objects are merged field by field, and null removes a field. Lists that are maps (containers, volumes,
    env, ports and so on) are merged by their keys, new items coming last. All else is replaced.

    Args:
        base: object as JSON.
        patch: partial object of the same type.
        enclosing: name of the field whose value `base` is; needed only where that is a list that is a map.
    """
    merged = dict(base)
    for field, wanted in patch.items():
        if wanted is None:
            merged.pop(field, None)
        else:
            merged[field] = _merged(base.get(field), wanted, enclosing, field)
    return merged


def _merged(have: object, wanted: object, enclosing: str, field: str) -> object:
    if isinstance(wanted, dict):
        return merge(have if isinstance(have, dict) else {}, wanted, enclosing=field)
    if isinstance(wanted, list):
        return _merged_list(have if isinstance(have, list) else [], wanted, enclosing, field)
    return wanted


def _merged_list(have: list[Any], wanted: list[Any], enclosing: str, field: str) -> list[Any]:
    items, patches = indexed(enclosing, field, have), indexed(enclosing, field, wanted)
    if items is None or patches is None:
        return wanted
    for identity, patch in patches.items():
        items[identity] = merge(items.get(identity, {}), patch, enclosing=field)
    return list(items.values())
