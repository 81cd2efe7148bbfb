"""The bridge from ASGI to WSGI."""

import asyncio
import io
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, cast

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from mtls_server.backends.wsgi.body import Body
from mtls_server.backends.wsgi.environ import Environ, environ_of
from mtls_server.backends.wsgi.patience import Patience, SlowCallerError
from mtls_server.backends.wsgi.response import CallerGoneError, Response, StartResponse
from mtls_server.backends.wsgi.threads import Threads
from mtls_server.http.exchange import LEFT
from mtls_server.http.gate import has_body
from mtls_server.http.reply import CLOSE, refusal

TOO_SLOW: Final = refusal(408, "request_timeout", "the request's body came too slowly", CLOSE)
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class Wsgi:
    """A WSGI application, as an ASGI one; no body is ever held whole."""

    def __init__(self, application: Application, threads: Threads, caller_timeout: float) -> None:
        """Serve nobody yet.

        Args:
            application: answers, on threads.
            threads: run it.
            caller_timeout: seconds for which they wait for the caller of a request, as `Patience` has it.
        """
        self._application = application
        self._threads = threads
        self._caller_timeout = caller_timeout

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one request on a thread."""
        scope = cast("HTTPScope", scope)  # this backend runs no lifespan
        caller = scope["state"]["mtls"].caller
        patience = Patience(self._caller_timeout)
        response = Response(patience)

        def leave(_: object) -> None:
            response.abandon()
            self._threads.withdraw(running, caller)

        body = Body(receive, patience, empty=not has_body(list(scope["headers"])))
        environ = environ_of(scope, io.BufferedReader(body))
        try:
            await body.begin()
            running = self._threads.run(partial(_run, self._application, environ, response), caller)
            running.add_done_callback(response.end)
            left: asyncio.Future[None] = scope[LEFT]  # type: ignore[typeddict-item]
            left.add_done_callback(leave)
            await response.send_to(send)
            await running
        except CallerGoneError:
            pass
        except SlowCallerError:
            if not response.begun:
                await TOO_SLOW(scope, receive, send)
        finally:
            response.abandon()


def _run(application: Application, environ: Environ, response: Response) -> None:
    if response.abandoned:  # while the request waited for a thread
        return
    pieces = application(environ, response.start)
    try:
        for piece in pieces:
            response.write(piece)
        response.finish()
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
