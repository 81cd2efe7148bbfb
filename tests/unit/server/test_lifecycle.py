"""What the server needs to run, what it needs to be ready, and its end amid a reload."""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import Program, running
from tests.unit.server.tls.harness import eventually

MIRROR = "tests.unit.server.apps:mirror"
APPS = "tests.unit.server.lifecycle_apps"

# Ready


def obstacles(program: Program) -> list[str]:
    status, text = program.ask_admin("/readyz")
    assert (status == 200) == (text == "ready\n")
    return [] if status == 200 else text.splitlines()


def test_without_files_it_is_not_ready(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "identity", deliver_first=False) as program:
        eventually(lambda: "waiting for files that can serve" in str(obstacles(program)))
        deliver(program.directory, world.files())
        eventually(lambda: obstacles(program) == [])


def test_before_its_application_has_started_it_is_not_ready(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", f"{APPS}:starts_at_leisure") as program:
        eventually(
            lambda: obstacles(program) == ["the application has not started", "the listener is not up"]
        )
        (tmp_path / "certs" / "start").touch()
        eventually(lambda: obstacles(program) == [])


def test_before_it_listens_it_is_not_ready(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "identity", deliver_first=False) as program:
        eventually(lambda: "the listener is not up" in obstacles(program))
        deliver(program.directory, world.files())
        program.logs.expect(message="serving")
        assert obstacles(program) == []


def test_while_it_drains_it_is_not_ready(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "--drain-delay", "60", "--grace", "60", "identity") as program:
        eventually(lambda: obstacles(program) == [])
        program.process.send_signal(signal.SIGTERM)
        eventually(lambda: obstacles(program) == ["draining"])
        assert program.stop() == 0


# The end


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.06, 0.1])
def test_a_reload_that_is_under_way_disturbs_no_end(world: World, tmp_path: Path, seconds: float) -> None:
    """New files are read 50 ms after they came, on a thread."""
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as busy:
        busy.send(b"GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n")
        eventually(lambda: obstacles(program) == [])
        deliver(program.directory, world.files())
        time.sleep(seconds)
        program.process.send_signal(signal.SIGTERM)
        assert busy.answer().status == 200
        assert program.process.wait(30) == 0
    assert not program.logs.matching(level="error")
    assert "Traceback" not in str(program.logs.all)


def test_bad_files_that_come_while_it_drains_cost_nobody_an_answer(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "--drain-delay", "60", "--grace", "60", "asgi", MIRROR) as program:
        eventually(lambda: obstacles(program) == [])
        program.process.send_signal(signal.SIGTERM)
        eventually(lambda: obstacles(program) == ["draining"])
        deliver(program.directory, world.files() | {"tls.key": b"garbage"})
        program.logs.expect(event="delivery_refused")
        assert program.get().status == 200
        assert program.stop() == 0


# Anybody, who may write nothing

UID, GID = "12345", "54321"
READ_ONLY = """
cut -d ' ' -f 2 /proc/self/mounts | while read -r place; do
  mount -o remount,bind,ro "$place" 2>/dev/null || true
done
exec setpriv --no-new-privs --inh-caps -all --ambient-caps -all --bounding-set -all "$@"
"""
AS_ANYBODY = [
    *("unshare", "--user", f"--map-user={UID}", f"--map-group={GID}", "--mount", "--keep-caps"),
    *("sh", "-euc", READ_ONLY, "sh"),
]


def can_be_anybody() -> bool:
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        return False
    writes = [sys.executable, "-c", f"open({tempfile.gettempdir()!r} + '/mtls-server-probe', 'w')"]
    probe = subprocess.run([*AS_ANYBODY, *writes], capture_output=True, text=True, check=False)
    return "Read-only file system" in probe.stderr


@pytest.mark.skipif(
    not can_be_anybody(), reason="this kernel or sandbox lets nobody make a user and a mount namespace"
)
def test_any_user_can_run_it_on_a_root_that_is_read_only(world: World, tmp_path: Path) -> None:
    arguments = ("asgi", f"{APPS}:circumstances")
    with running(world, tmp_path, *arguments, within=AS_ANYBODY) as program:
        seen = program.get().json
        assert seen == {"uid": int(UID), "gid": int(GID), "capabilities": "0" * 16, "writable": []}
        deliver(program.directory, world.files())
        program.logs.expect(event="generation_published", generation=2)
        assert program.get().status == 200
        assert program.stop() == 0
    assert not program.logs.matching(level="error")
