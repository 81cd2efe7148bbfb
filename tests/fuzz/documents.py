"""Places in documents of JSON."""

from collections.abc import Sequence
from typing import Any

Document = dict[Any, Any] | list[Any]


def places(document: Document) -> Sequence[Any]:
    """Return the keys or the indices of what stands directly in it."""
    return list(document) if isinstance(document, dict) else range(len(document))
