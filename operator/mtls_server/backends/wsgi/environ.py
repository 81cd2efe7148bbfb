"""The environment of a request (PEP 3333, RFC 3875)."""

import re
import sys
from typing import Any, Final, Protocol

from uvicorn._types import HTTPScope

from mtls_server.backends.wsgi.caller import caller_variables

Environ = dict[str, Any]

_UNAMBIGUOUS: Final = re.compile(rb"[a-z0-9-]+")
"""Names that no other name becomes equal to, once it is a variable's."""


class Readable(Protocol):
    """A request's body."""

    def read(self, size: int = -1, /) -> bytes:
        """Return so many bytes, or fewer at the end."""


def environ_of(scope: HTTPScope, body: Readable) -> Environ:
    """Return a new environment for a request.

    The body ends by itself, also where no CONTENT_LENGTH says how long it is (``wsgi.input_terminated``).
    """
    host, port = scope["server"] or ("", None)
    client = scope["client"] or ("", 0)
    chain = scope["extensions"]["tls"]["client_cert_chain"]
    return {
        **_fields(scope),
        **caller_variables(scope["state"]["mtls"], chain),
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "HTTPS": "on",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _fields(scope: HTTPScope) -> Environ:
    fields: Environ = {}
    for name, value in scope["headers"]:
        if _UNAMBIGUOUS.fullmatch(name):
            variable = name.decode().upper().replace("-", "_")
            if variable not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
                variable = f"HTTP_{variable}"
            text = value.decode("latin-1")
            if variable in fields:
                text = f"{fields[variable]}{'; ' if name == b'cookie' else ','}{text}"
            fields[variable] = text
    return fields
