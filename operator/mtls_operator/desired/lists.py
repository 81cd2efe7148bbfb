"""Which lists of the API are maps in truth, and which fields tell their items apart.

The keys are those that server-side apply uses (`+listMapKey` in the API's Go types). A list that is
not named here is atomic: it is replaced whole.
"""

from collections.abc import Mapping
from typing import Any, Final

_CONTAINER_LISTS: Final = {
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
}

_LIST_MAP_KEYS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("metadata", "ownerReferences"): ("uid",),
    ("resources", "claims"): ("name",),
    ("spec", "containers"): ("name",),
    ("spec", "hostAliases"): ("ip",),
    ("spec", "imagePullSecrets"): ("name",),
    ("spec", "initContainers"): ("name",),
    ("spec", "ports"): ("port", "protocol"),
    ("spec", "resourceClaims"): ("name",),
    ("spec", "schedulingGates"): ("name",),
    ("spec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("spec", "volumes"): ("name",),
    **{
        (containers, field): keys
        for containers in ("containers", "initContainers")
        for field, keys in _CONTAINER_LISTS.items()
    },
}

_DEFAULTS: Final = {"protocol": "TCP"}

Item = dict[str, Any]
Identity = tuple[Any, ...]


def indexed(enclosing: str, field: str, items: list[Any]) -> dict[Identity, Item] | None:
    """Return the items of a list by what identifies them.

    Args:
        enclosing: name of the field that the list's object is the value of, such as `containers`.
        field: name of the list, such as `env`.
        items: the list.

    Returns:
        Identity to item in the list's order, a later item of the same identity in an earlier one's place;
        None where the list is atomic, or is not one of objects with simple keys.
    """
    keys = _LIST_MAP_KEYS.get((enclosing, field))
    if keys is None or not all(_has_identity(item, keys) for item in items):
        return None
    return {tuple(item.get(key, _DEFAULTS.get(key)) for key in keys): item for item in items}


def _has_identity(item: object, keys: tuple[str, ...]) -> bool:
    """Whether the item can be told from others; the API server says what is wrong with one that can not."""
    return isinstance(item, dict) and all(isinstance(item.get(key), str | int | None) for key in keys)
