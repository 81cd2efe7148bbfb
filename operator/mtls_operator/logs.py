"""Log lines: one JSON object each, or text for people at a terminal."""

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter


def configure(form: Literal["json", "text"], level: str) -> None:
    """Send the operator's own lines to standard output, and only the warnings of libraries."""
    handler = logging.StreamHandler(sys.stdout)
    if form == "json":
        fields = {"levelname": "level", "name": "logger", "asctime": "time"}
        handler.setFormatter(
            JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=fields)
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("mtls_operator").setLevel(level)
