"""Applications that cannot be loaded, and the sentence each gets."""

import sys

import pytest

from mtls_server.backends.asgi import load
from mtls_server.backends.errors import BackendError


def test_an_application_is_found_by_module_and_attribute() -> None:
    assert load("tests.unit.server.apps:mirror") is sys.modules["tests.unit.server.apps"].mirror


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("shop", "'shop' names no application; write module:attribute, such as shop.main:app"),
        ("shop:", "write module:attribute"),
        ("absent.shop:app", "cannot import absent.shop: there is no module 'absent'"),
        ("tests.unit.server.apps:absent", "has no attribute 'absent'; name the ASGI application in it"),
        ("tests.unit.server.apps:not_an_application", "is a int, not an ASGI application"),
        (
            "tests.unit.server.broken:app",
            "importing tests.unit.server.broken failed: ZeroDivisionError: division",
        ),
    ],
)
def test_what_cannot_be_loaded_is_explained(path: str, words: str) -> None:
    with pytest.raises(BackendError) as caught:
        load(path)
    assert words in str(caught.value)
