import os
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cluster import cache, packages
from tests.cluster.errors import ClusterError
from tests.cluster.progress import step
from tests.cluster.shell import run

SOURCE = Path(__file__).parents[2]
DEBIAN_PACKAGES = ["buildah", "ca-certificates", "debian-archive-keyring", "mmdebstrap", "util-linux"]
SUITE = "trixie"
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"]
MOUNTED_CERTIFICATES = "/run/certificates.crt"

PROJECT = ["Containerfile", "pyproject.toml", "README.md", "LICENSE", "requirements/build.txt"]
INPUTS = {
    "operator": [*PROJECT, "requirements/operator.txt", "operator"],
    "server": [*PROJECT, "requirements/server.txt", "operator/mtls_server"],
    "server-test": ["Containerfile", "requirements/build.txt", "requirements/test.txt"],
}
PUBLISHED = ["operator", "server"]
KEPT = 3


def archives() -> list[Path]:
    """Return the archives of the images that a cluster runs, built where what goes into them has changed."""
    return [_published(target) for target in PUBLISHED]


def archive_of(context: Path, name: str) -> Path:
    """Return the archive of another image: that of the Containerfile in this folder, upon our base."""
    base = _base()
    version = cache.key(base, name, cache.tree_key(context, ["."]))

    def build(folder: Path) -> None:
        log = folder.parent / "build.log"
        _build(name, context, log, f"--build-arg=BASE={base}")
        _write_archive(name, folder / f"{context.name}.tar", log)

    return cache.built(f"images/{context.name}", version, build, keep=KEPT) / f"{context.name}.tar"


def tag(target: str) -> str:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    return f"localhost/mtls-{target}:{project['version']}"


def run_server_tests(arguments: Sequence[str]) -> int:
    """Run pytest on this source tree under the very Python and OpenSSL that the server's image ships."""
    target, base = "server-test", _base()
    name = f"localhost/mtls-{target}:{_version(target, base)}"
    _once(name, lambda: _build_target(target, name, base, _folder() / f"{target}.log"))
    container = run(*_buildah("from"), name).strip()
    try:
        options = ["--isolation", "chroot", "--volume", f"{SOURCE}:/source:ro"]
        pytest = ["python", "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.call([*_buildah("run"), *options, container, "--", *pytest])
    finally:
        run(*_buildah("rm"), container)


def _published(target: str) -> Path:
    name, base = tag(target), _base()

    def build(folder: Path) -> None:
        log = folder.parent / "build.log"
        _build_target(target, name, base, log)
        _write_archive(name, folder / f"{target}.tar", log)

    folder = cache.built(f"images/{target}", _version(target, base), build, keep=KEPT)
    return folder / f"{target}.tar"


def _version(target: str, base: str) -> str:
    return cache.key(base, tag(target), cache.tree_key(SOURCE, INPUTS[target]))


def _build_target(target: str, name: str, base: str, log: Path) -> None:
    settings = {"BASE": base, **_pip_settings()}
    arguments = [f"--build-arg={key}={value}" for key, value in settings.items()]
    volume = f"--volume={_certificates()}:{MOUNTED_CERTIFICATES}:ro"
    _build(name, SOURCE, log, "--target", target, *arguments, volume)


def _build(name: str, context: Path, log: Path, *options: str) -> None:
    with step(f"Building {name}"):
        common = ["--isolation", "chroot", "--layers", "--tag", name]
        _logged([*_buildah("bud"), *common, *options, str(context)], log)


def _write_archive(name: str, file: Path, log: Path) -> None:
    with step(f"Writing the archive of {name}"):
        _logged([*_buildah("push"), name, f"docker-archive:{file}:{name}"], log)


def _pip_settings() -> dict[str, str]:
    """Let pip trust what this machine trusts, and ask the index that it asks."""
    index = os.environ.get("PIP_INDEX_URL")
    return {"PIP_CERT": MOUNTED_CERTIFICATES, **({"PIP_INDEX_URL": index} if index else {})}


def _certificates() -> str:
    return os.environ.get("PIP_CERT") or "/etc/ssl/certs/ca-certificates.crt"


def _base() -> str:
    """Return the name of the base image, which is made from Debian's packages once."""
    if os.geteuid() != 0:
        raise ClusterError("Images are built in a chroot: run this as root.")
    packages.require(*DEBIAN_PACKAGES)
    version = cache.key(SUITE, *LEFT_OUT)
    name = f"localhost/debian:{SUITE}-{version}"
    _once(name, lambda: _build_base(name))
    return name


def _build_base(name: str) -> None:
    root = _folder() / "root.tar"
    exclusions = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    with step(f"Making the base image from Debian {SUITE}"):
        run("mmdebstrap", "--quiet", "--variant=minbase", *exclusions, SUITE, root)
        container = run(*_buildah("from"), "scratch").strip()
        run(*_buildah("add"), container, root, "/")
        run(*_buildah("commit"), "--rm", container, name)
    root.unlink()


def _once(name: str, build: Callable[[], None]) -> None:
    """Build an image unless the store has it."""
    with cache.locked(_folder() / ".lock"):
        look = [*_buildah("inspect"), "--type", "image", name]
        if subprocess.run(look, capture_output=True, check=False).returncode:
            build()


def _folder() -> Path:
    return cache.root() / "images"


def _buildah(command: str) -> list[str]:
    """Keep images apart from the user's, and mounts in a namespace that goes with the command."""
    places = ["--root", str(_folder() / "storage"), "--runroot", str(_folder() / "run")]
    return ["unshare", "--mount", "buildah", *places, "--storage-driver", "overlay", command]


def _logged(command: list[str], log: Path) -> None:
    with log.open("w") as output:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if result.returncode:
        raise ClusterError("The image build failed; mend what its log names and run this again.", log)
