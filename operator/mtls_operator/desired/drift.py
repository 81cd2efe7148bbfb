"""Whether a live object is as we want it, told without a request to the API server."""

import hashlib
import json
from typing import Any, Final

from mtls_operator.api.names import ANNOTATION_DESIRED

from .lists import indexed
from .merge import merge
from .quantity import quantity

Object = dict[str, Any]

_TYPE_FIELDS: Final = ("apiVersion", "kind")
"""Absent from the items of a list, and certain anyway."""

_QUANTITIES: Final = frozenset({"divisor", "sizeLimit", "storage"})
_QUANTITY_MAPS: Final = frozenset({"limits", "overhead", "requests"})

_KEPT_WHEN_EMPTY: Final = frozenset(
    {
        "allowPrivilegeEscalation",
        "automountServiceAccountToken",
        "emptyDir",
        "enableServiceLinks",
        "hostUsers",
        "labelSelector",
        "maxUnavailable",
        "namespaceSelector",
        "podSelector",
        "replicas",
    }
)
"""Fields whose absence means something else than their being 0, false or empty. Any other empty field the API
server may leave out."""

_FREE_MAPS: Final = frozenset({"annotations", "labels", "matchLabels", "nodeSelector"})
"""Maps whose fields are data, so that an empty one is still there."""


def recorded(desired: Object) -> Object:
    """Return the object with a digest of itself as an annotation.

    What is no longer wanted is not seen by comparing what is wanted: the digest tells.
    """
    canonical = json.dumps(desired, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return merge(desired, {"metadata": {"annotations": {ANNOTATION_DESIRED: digest}}})


def differs(desired: Object, live: Object) -> bool:
    """Tell whether any field that we want is not as we want it.

    What others added, and what the API server filled in, is no difference. An object from `recorded` also
    differs when it was last applied with a field that is no longer wanted.

    Args:
        desired: object as it would be applied.
        live: object as it was observed.
    """
    wanted = {field: value for field, value in desired.items() if field not in _TYPE_FIELDS}
    return not _holds(wanted, live, "", "")


def _holds(wanted: object, live: object, enclosing: str, field: str) -> bool:
    if live is None:
        return not wanted and field not in _KEPT_WHEN_EMPTY and enclosing not in _FREE_MAPS
    if isinstance(wanted, dict) and isinstance(live, dict):
        return all(_holds(value, live.get(name), field, name) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(live, list):
        return _list_holds(wanted, live, enclosing, field)
    is_quantity = field in _QUANTITIES or enclosing in _QUANTITY_MAPS
    amount = quantity(wanted) if is_quantity else None
    return bool(wanted == live) if amount is None else amount == quantity(live)


def _list_holds(wanted: list[Any], live: list[Any], enclosing: str, field: str) -> bool:
    wanted_items, live_items = indexed(enclosing, field, wanted), indexed(enclosing, field, live)
    if wanted_items is None or live_items is None:
        return len(wanted) == len(live) and all(
            _holds(item, other, enclosing, field) for item, other in zip(wanted, live, strict=True)
        )
    return all(_holds(item, live_items.get(key), enclosing, field) for key, item in wanted_items.items())
