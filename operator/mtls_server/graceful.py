"""uvicorn's HTTP protocol, made to end without failing a request that has begun."""

from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState


class DrainState(ServerState):
    """What all connections share, and whether the server is about to end."""

    def __init__(self) -> None:
        super().__init__()
        self.draining = False

    def drain(self) -> None:
        """From now on every response says ``Connection: close``."""
        self.draining = True


class GracefulProtocol(HttpToolsProtocol):
    """Answers what a client has begun to ask: after its half-close, and while the server drains.

    Its ``server_state`` is a `DrainState`.
    """

    _head_begun = False
    _ending = False

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._head_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Make this the connection's last request, if it is to end."""
        self._head_begun = False
        super().on_headers_complete()
        if self._ending or cast("DrainState", self.server_state).draining:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close when idle; else finish the requests that have begun, then close."""
        self._ending = True
        if self._is_answering():
            self.cycle.keep_alive = False
        elif not self._head_begun:
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open for the response to a request that is complete."""
        if not self._is_answering() or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def _is_answering(self) -> bool:
        """``cycle`` is the newest request, behind which none is queued."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete
