"""Applications that cannot be loaded, and the sentence each gets."""

import sys

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
        ("tests.unit.server.apps:not_an_application", "is a int, not an ASGI application"),
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


def test_a_wsgi_application_is_told_from_an_asgi_one() -> None:
    assert load_wsgi("tests.unit.server.backends.wsgi_apps:hello").__name__ == "hello"
    with pytest.raises(BackendError, match="is an ASGI application; write asgi instead of wsgi"):
        load_wsgi("tests.unit.server.apps:mirror")
