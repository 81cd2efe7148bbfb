"""ASGI applications, without a framework, that start when they like, and look around."""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.unit.server.apps import answer


async def starts_at_leisure(scope: Any, receive: Any, send: Any) -> None:
    """Starts when a file named ``start`` stands in the directory that the command line names."""
    assert scope["type"] == "lifespan"
    await receive()
    await asyncio.to_thread(_wait_to_start)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def circumstances(scope: Any, _receive: Any, send: Any) -> None:
    """Answers as whom it runs, and where it may write."""
    assert scope["type"] == "http"
    await answer(send, 200, _circumstances())


def _wait_to_start() -> None:
    directory = Path(sys.argv[sys.argv.index("--dir") + 1])
    while not (directory / "start").exists():
        time.sleep(0.01)


def _circumstances() -> dict[str, object]:
    status = Path("/proc/self/status").read_text()
    places = [Path("/"), Path.home(), Path.cwd(), Path("/tmp"), Path("/dev/shm")]
    return {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "capabilities": status.partition("CapEff:")[2].split()[0],
        "writable": [str(place) for place in places if _is_writable(place)],
    }


def _is_writable(place: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False
