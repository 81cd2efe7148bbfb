"""One event, one line of JSON."""

import json
import logging
import sys
from datetime import UTC, datetime

import pytest

from mtls_server.logs import JsonFormatter


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
