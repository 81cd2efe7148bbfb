"""Log lines as JSON, one object a line, on standard error."""

import json
import logging
import warnings
from datetime import UTC, datetime
from typing import Final


class JsonFormatter(logging.Formatter):
    """Renders time, level, logger and message, and the fields given as ``extra={"fields": {…}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; line breaks inside values are escaped, so a value cannot forge a line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _ENCODER.encode(line)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


_ENCODER: Final = json.JSONEncoder(default=_plain)


def configure(level: int = logging.INFO) -> None:
    """Send every logger's lines, and Python's warnings, through the formatter."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # of cryptography; strangers could have one line, and one entry of Python's registry, for each length
    warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
