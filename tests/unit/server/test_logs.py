"""One event, one line of JSON."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from mtls_server.logs import JsonFormatter
from tests.unit.server import pki


def line(message: str, *, fields: dict[str, object] | None = None, failed: bool = False) -> str:
    record = logging.LogRecord("a", logging.WARNING, "", 0, message, None, sys.exc_info() if failed else None)
    record.created = datetime(2026, 11, 24, 8, tzinfo=UTC).timestamp()
    if fields:
        record.fields = fields
    return JsonFormatter().format(record)


def test_a_line_is_json_with_its_fields() -> None:
    assert json.loads(line("hello", fields={"event": "greeting", "ports": (1, 2)})) == {
        "time": "2026-11-24T08:00:00Z",
        "level": "warning",
        "logger": "a",
        "message": "hello",
        "event": "greeting",
        "ports": [1, 2],
    }


def test_a_value_cannot_forge_a_line() -> None:
    assert "\n" not in line('a\n{"level":"info"}')


@pytest.mark.parametrize("value", [object(), {1, 2}, Exception("x"), "\udcff"])
def test_any_value_can_be_logged(value: object) -> None:
    json.loads(line("hello", fields={"value": value}))


def test_an_exception_is_in_the_line() -> None:
    try:
        int("broken")
    except ValueError:
        assert "ValueError: invalid literal" in json.loads(line("failed", failed=True))["exception"]


LONG_NAMES = """
import sys, warnings
from mtls_server.logs import configure
from mtls_server.tls.failures import read_presented
configure()
warnings.warn("something else")
assert read_presented(sys.stdin.buffer.read()) is not None
"""


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_the_names_of_strangers_make_no_warnings() -> None:
    stranger = pki.leaf(None, subject=x509.Name([_name("a" * 65), _name("b" * 66)]))
    done = subprocess.run(
        [sys.executable, "-c", LONG_NAMES],
        input=stranger.der,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    (warning,) = map(json.loads, done.stderr.splitlines())
    assert "something else" in warning["message"]


def _name(value: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, value, _validate=False)
