"""How an exchange with the server behind this one fails, and what the caller is told."""

from typing import Final

from mtls_server.http.reply import CLOSE, Reply, refusal

UNREACHABLE: Final = refusal(502, "upstream_unreachable", "the server behind this one cannot be reached")
CONNECT_TIMEOUT: Final = refusal(
    504, "upstream_connect_timeout", "the server behind this one took too long to accept a connection"
)
CLOSED: Final = refusal(
    502,
    "upstream_closed",
    "the server behind this one closed the connection before its response was complete",
)
MALFORMED: Final = refusal(
    502, "upstream_malformed", "the response of the server behind this one is not well-formed HTTP/1.1"
)
TIMEOUT: Final = refusal(504, "upstream_timeout", "the server behind this one took too long to answer")
STALLED: Final = refusal(504, "upstream_stalled", "the server behind this one neither reads nor writes")
CODED_BODY: Final = refusal(
    501, "transfer_coding_not_supported", "a request's only transfer coding may be chunked", CLOSE
)


class ExchangeError(Exception):
    """The exchange failed."""

    def __init__(self, failure: Reply) -> None:
        super().__init__(failure.message)
        self.failure = failure


class StaleError(ExchangeError):
    """A connection that was kept ended without any answer: the server had closed it meanwhile."""

    def __init__(self) -> None:
        super().__init__(CLOSED)


class CallerGoneError(Exception):
    """The caller awaits no response any more."""
