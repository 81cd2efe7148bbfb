"""What an MTLSService asks for in vain and admission can not see, since CEL reads no annotations."""

from typing import Final

from mtls_operator.api import defaults, durations, names
from mtls_operator.api.types import MTLSService

_MAX_NAMED: Final = 5


def problems(service: MTLSService) -> list[str]:
    """Return a sentence for each wish that is not followed, saying what to write instead.

    None of them keeps the service from being served, with the values of `defaults`; but its Ready is false
    until the spec says what holds.
    """
    return [*_short_lived_clients(service), *_misspelled_annotations(service)]


def _short_lived_clients(service: MTLSService) -> list[str]:
    if defaults.allows_short_lived(service):
        return []
    limit = defaults.SHORTEST_CLIENT_DURATION
    clients = [
        client.name
        for client in service.spec.clients
        if client.duration is not None and durations.parse(client.duration) < limit
    ]
    if not clients:
        return []
    more = len(clients) - _MAX_NAMED
    named = ", ".join(clients[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
    shortest = durations.spell(limit)
    sentence = (
        f"certificates of {named} hold for {shortest} instead of less, since a mounted Secret can arrive"
        f" too late; write a duration of at least {shortest}, or set the annotation"
        f' {names.ANNOTATION_ALLOW_SHORT_LIVED}: "true" where callers read the Secret through the API'
    )
    return [sentence]


def _misspelled_annotations(service: MTLSService) -> list[str]:
    value = service.metadata.annotations.get(names.ANNOTATION_ALLOW_SHORT_LIVED)
    if value in {None, "true", "false"}:
        return []
    return [f'the annotation {names.ANNOTATION_ALLOW_SHORT_LIVED} has no effect; write "true", or remove it']
