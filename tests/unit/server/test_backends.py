"""Applications that cannot be loaded, and the sentence each gets."""

import math
import sys
from typing import cast

import pytest

from mtls_server.backends.errors import BackendError
from mtls_server.backends.loading import load_asgi, load_wsgi


def test_an_application_is_found_by_module_and_attribute() -> None:
    assert load_asgi("tests.unit.server.apps:mirror") is sys.modules["tests.unit.server.apps"].mirror


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("shop", "'shop' names no application; write module:attribute, such as shop.main:app"),
        ("shop:", "write module:attribute"),
        ("absent.shop:app", "cannot import absent.shop: there is no module 'absent'"),
        ("tests.unit.server.apps:absent", "has no attribute 'absent'; name an ASGI application in it"),
        ("tests.unit.server.apps:not_an_application", "cannot be called, so it is not an ASGI application"),
        (
            "tests.unit.server.broken:app",
            "importing tests.unit.server.broken failed: ZeroDivisionError: division",
        ),
    ],
)
def test_what_cannot_be_loaded_is_explained(path: str, words: str) -> None:
    with pytest.raises(BackendError) as caught:
        load_asgi(path)
    assert words in str(caught.value)


def test_the_traceback_of_a_missing_module_is_kept_where_the_application_needs_it() -> None:
    with pytest.raises(BackendError, match="PYTHONPATH name the directory") as named:
        load_asgi("absent.shop:app")
    assert named.value.__cause__ is None
    with pytest.raises(BackendError, match="there is no module 'absent'") as needed:
        load_asgi("tests.unit.server.incomplete:app")
    assert isinstance(needed.value.__cause__, ModuleNotFoundError)


def test_an_asgi_application_is_told_from_a_wsgi_one() -> None:
    with pytest.raises(BackendError, match="if it is a WSGI application, write wsgi instead of asgi"):
        load_asgi("tests.unit.server.backends.wsgi_apps:hello")
    assert cast("object", load_asgi("math:hypot")) is math.hypot  # which does not say what it takes


def test_a_wsgi_application_is_told_from_an_asgi_one() -> None:
    assert load_wsgi("tests.unit.server.backends.wsgi_apps:hello").__name__ == "hello"
    with pytest.raises(BackendError, match="is an ASGI application; write asgi instead of wsgi"):
        load_wsgi("tests.unit.server.apps:mirror")
