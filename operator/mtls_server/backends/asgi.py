"""Loading the user's ASGI application."""

import importlib
from typing import cast

from uvicorn._types import ASGI3Application

from mtls_server.backends.errors import BackendError


def load(path: str) -> ASGI3Application:
    """Import ``module:attribute``.

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
            raise BackendError(
                f"module {module_name} has no attribute {attribute!r}; name the ASGI application in it"
            )
        application = getattr(application, name)
    if not callable(application):
        raise BackendError(f"{path} is a {type(application).__name__}, not an ASGI application")
    return cast("ASGI3Application", application)
