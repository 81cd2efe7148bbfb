"""Loading the user's application."""

import importlib
from collections.abc import Callable
from inspect import iscoroutinefunction, signature
from typing import cast

from uvicorn._types import ASGI3Application

from mtls_server.backends.errors import BackendError
from mtls_server.backends.wsgi.app import Application as WsgiApplication


def load_asgi(path: str) -> ASGI3Application:
    """Import the ASGI application ``module:attribute``.

    Raises:
        BackendError: it is not of that form, not there, not one, or its import fails.
    """
    application = _load(path, "an ASGI application")
    if not _takes(application, 3):
        raise BackendError(
            f"{path} cannot be called with scope, receive and send; if it is a WSGI application,"
            " write wsgi instead of asgi"
        )
    return cast("ASGI3Application", application)


def load_wsgi(path: str) -> WsgiApplication:
    """Import the WSGI application ``module:attribute``.

    Raises:
        BackendError: it is not of that form, not there, not one, or its import fails.
    """
    application = _load(path, "a WSGI application")
    if iscoroutinefunction(application) or iscoroutinefunction(type(application).__call__):
        raise BackendError(f"{path} is an ASGI application; write asgi instead of wsgi")
    return cast("WsgiApplication", application)


def _load(path: str, kind: str) -> Callable[..., object]:
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
        is_named = f"{module_name}.".startswith(f"{error.name}.")  # else the traceback says who needs it
        raise BackendError(
            f"cannot import {module_name}: there is no module {error.name!r};"
            " install it, or let PYTHONPATH name the directory in which it is"
        ) from (None if is_named else error)
    except Exception as error:
        raise BackendError(f"importing {module_name} failed: {type(error).__name__}: {error}") from error
    for name in attribute.split("."):
        if not hasattr(application, name):
            raise BackendError(f"module {module_name} has no attribute {attribute!r}; name {kind} in it")
        application = getattr(application, name)
    if not callable(application):
        raise BackendError(f"{path} cannot be called, so it is not {kind}")
    return application


def _takes(application: Callable[..., object], count: int) -> bool:
    try:
        parameters = signature(application)
    except ValueError:  # some that are written in C have none
        return True
    try:
        parameters.bind(*range(count))
    except TypeError:
        return False
    return True
