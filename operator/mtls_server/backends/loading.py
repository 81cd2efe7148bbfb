"""Loading the user's application."""

import importlib
from inspect import iscoroutinefunction
from typing import cast

from uvicorn._types import ASGI3Application

from mtls_server.backends.errors import BackendError
from mtls_server.backends.wsgi.app import Application as WsgiApplication


def load_asgi(path: str) -> ASGI3Application:
    """Import the ASGI application ``module:attribute``.

    Raises:
        BackendError: it is not of that form, not there, not one, or its import fails.
    """
    return cast("ASGI3Application", _load(path, "an ASGI application"))


def load_wsgi(path: str) -> WsgiApplication:
    """Import the WSGI application ``module:attribute``.

    Raises:
        BackendError: it is not of that form, not there, not one, or its import fails.
    """
    application = _load(path, "a WSGI application")
    if iscoroutinefunction(application) or iscoroutinefunction(type(application).__call__):
        raise BackendError(f"{path} is an ASGI application; write asgi instead of wsgi")
    return cast("WsgiApplication", application)


def _load(path: str, kind: str) -> object:
    """Import ``module:attribute``, which must be callable.

    Raises:
        BackendError: it is not of that form, not there, or its import fails.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise BackendError(f"{path!r} names no application; write module:attribute, such as shop.main:app")
    try:
        application: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise BackendError(
            f"cannot import {module_name}: there is no module {error.name!r};"
            " install it in the image or set PYTHONPATH"
        ) from error
    except Exception as error:
        raise BackendError(f"importing {module_name} failed: {type(error).__name__}: {error}") from error
    for name in attribute.split("."):
        if not hasattr(application, name):
            raise BackendError(f"module {module_name} has no attribute {attribute!r}; name {kind} in it")
        application = getattr(application, name)
    if not callable(application):
        raise BackendError(f"{path} is a {type(application).__name__}, not {kind}")
    return application
