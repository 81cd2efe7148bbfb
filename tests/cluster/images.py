import os
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
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


def archives() -> list[Path]:
    """Return the archives of the images that a cluster runs, built where what goes into them has changed."""
    return [_built(target) / f"{target}.tar" for target in PUBLISHED]


def tag(target: str) -> str:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    return f"localhost/mtls-{target}:{project['version']}"


def run_server_tests(arguments: Sequence[str]) -> int:
    """Run pytest on this source tree under the very Python and OpenSSL that the server's image ships."""
    _built("server-test")
    container = run(*_buildah("from"), tag("server-test")).strip()
    try:
        options = ["--isolation", "chroot", "--volume", f"{SOURCE}:/source:ro"]
        pytest = ["python", "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.call([*_buildah("run"), *options, container, "--", *pytest])
    finally:
        run(*_buildah("rm"), container)


def _built(target: str) -> Path:
    """Return the folder with an image's archive; those of earlier sources go."""
    if os.geteuid() != 0:
        raise ClusterError("Images are built in a chroot: run this as root.")
    packages.require(*DEBIAN_PACKAGES)
    base = _base()
    kind = f"images/{target}"
    version = cache.key(base, tag(target), cache.tree_key(SOURCE, INPUTS[target]))
    folder = cache.built(kind, version, lambda folder: _build(target, base, folder))
    for other in folder.parent.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    return folder


def _build(target: str, base: str, folder: Path) -> None:
    name = tag(target)
    log = cache.root() / "images" / f"{target}.log"
    options = ["--isolation", "chroot", "--layers", "--target", target, "--tag", name]
    options += [f"--build-arg={name}={value}" for name, value in {"BASE": base, **_pip_settings()}.items()]
    options += [f"--volume={_certificates()}:{MOUNTED_CERTIFICATES}:ro"]
    with step(f"Building {name}"):
        _logged([*_buildah("bud"), *options, str(SOURCE)], log)
    if target in PUBLISHED:
        with step(f"Writing the archive of {name}"):
            _logged([*_buildah("push"), name, f"docker-archive:{folder / target}.tar:{name}"], log)


def _pip_settings() -> dict[str, str]:
    """Let pip trust what this machine trusts, and ask the index that it asks."""
    index = os.environ.get("PIP_INDEX_URL")
    return {"PIP_CERT": MOUNTED_CERTIFICATES, **({"PIP_INDEX_URL": index} if index else {})}


def _certificates() -> str:
    return os.environ.get("PIP_CERT") or "/etc/ssl/certs/ca-certificates.crt"


def _base() -> str:
    """Return the name of the base image, which is made from Debian's packages once."""
    version = cache.key(SUITE, *LEFT_OUT)
    name = f"localhost/debian:{SUITE}-{version}"
    cache.built("images/base", version, lambda folder: _build_base(name, folder))
    return name


def _build_base(name: str, folder: Path) -> None:
    root = folder / "root.tar"
    exclusions = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    with step(f"Making the base image from Debian {SUITE}"):
        run("mmdebstrap", "--quiet", "--variant=minbase", *exclusions, SUITE, root)
        container = run(*_buildah("from"), "scratch").strip()
        run(*_buildah("add"), container, root, "/")
        run(*_buildah("commit"), "--rm", container, name)
    root.unlink()


def _buildah(command: str) -> list[str]:
    """Keep images apart from the user's, and mounts in a namespace that goes with the command."""
    images = cache.root() / "images"
    storage = [
        "--root",
        str(images / "storage"),
        "--runroot",
        str(images / "run"),
        "--storage-driver",
        "overlay",
    ]
    return ["unshare", "--mount", "buildah", *storage, command]


def _logged(command: list[str], log: Path) -> None:
    with log.open("w") as output:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if result.returncode:
        raise ClusterError("The image build failed; mend what its log names and run this again.", log)
