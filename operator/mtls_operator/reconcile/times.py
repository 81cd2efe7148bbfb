"""Moments as the API server spells them."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Spell a moment in UTC, whole seconds, with ``Z`` (RFC 3339)."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
