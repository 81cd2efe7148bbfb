"""Three callers: one with the certificate issued to it, one without, and one with a stranger's."""

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mtls_operator.api.names import client_secret, client_uri
from mtls_operator.pki.authority import issue_authority
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.entropy import SYSTEM_ENTROPY
from mtls_operator.pki.keys import DEFAULT_KEY, encode_key
from mtls_operator.pki.leaf import client_profile, issue_leaf
from tests.cluster import cache, packages
from tests.cluster.errors import ClusterError
from tests.demo import telling
from tests.demo.installation import CLIENT, IN_NAMESPACE, NAMESPACE, SERVICE
from tests.demo.target import Target

PORT = 8443
URL = f"https://{SERVICE}.{NAMESPACE}.svc:{PORT}/"
FILES = ("ca.crt", "tls.crt", "tls.key")
STRANGER = "stranger"


def folder() -> Path:
    """Where the files of the callers are; keys among them, so for nobody else."""
    return cache.root() / "demo"


def fetch_files(target: Target) -> None:
    """Write the files of the issued Secret, as a caller's pod would mount them, and those of a stranger."""
    shutil.rmtree(folder(), ignore_errors=True)
    folder().mkdir(mode=0o700, parents=True)
    for name in CLIENT, STRANGER:
        (folder() / name).mkdir()
    for file in FILES:
        template = f'--output=go-template={{{{index .data "{file}" | base64decode}}}}'
        content = target.kubectl("get", "secret", client_secret(SERVICE, CLIENT), IN_NAMESPACE, template)
        (folder() / CLIENT / file).write_text(content)
    _write_stranger(folder() / STRANGER)


def _write_stranger(files: Path) -> None:
    """Write a certificate that says the same as the issued one, by another authority."""
    now, hour = datetime.now(UTC), timedelta(hours=1)
    authority = issue_authority("client", "somewhere/else", hour, now, SYSTEM_ENTROPY)
    uri = client_uri("cluster.local", NAMESPACE, SERVICE, CLIENT)
    leaf = issue_leaf(authority, client_profile(CLIENT, uri, DEFAULT_KEY), hour, now, SYSTEM_ENTROPY)
    (files / "tls.crt").write_bytes(encode_bundle([leaf.certificate]))
    (files / "tls.key").write_bytes(encode_key(leaf.key))


def show_callers(target: Target) -> None:
    if not shutil.which("curl"):
        packages.require("curl")
    fetch_files(target)
    telling.say(f"In {folder()}, with the files of the Secret {client_secret(SERVICE, CLIENT)}:")
    telling.heading("… with its certificate: the server tells the application who calls")
    _accepted(target, CLIENT)
    telling.heading("… without a certificate: refused in the handshake")
    _refused(target, None, "certificate required")
    telling.heading("… with the same names, certified by another authority: refused in the handshake")
    _refused(target, STRANGER, "unknown ca")
    telling.heading("What the server's log says of the two")
    for line in _failed_handshakes(target):
        telling.say(line)


def curl(forwarded_port: int, identity: str | None) -> list[str]:
    """Return the command that calls the service by its own name, through the forwarded port."""
    certificate = ["--cert", f"{identity}/tls.crt", "--key", f"{identity}/tls.key"] if identity else []
    route = ["--connect-to", f"::127.0.0.1:{forwarded_port}"]
    return ["curl", "--silent", "--show-error", "--cacert", f"{CLIENT}/ca.crt", *certificate, *route, URL]


def _accepted(target: Target, identity: str) -> None:
    result = _call(target, identity)
    if result.returncode:
        raise ClusterError(f"The caller was refused, though its certificate is good: {result.stderr.strip()}")
    telling.say(json.dumps(json.loads(result.stdout), indent=2))


def _refused(target: Target, identity: str | None, alert: str) -> None:
    result = _call(target, identity)
    telling.say(result.stderr.strip())
    if f"alert {alert}" not in result.stderr:
        raise ClusterError(f"The caller should have been refused with the alert {alert!r}.")
    telling.say(f"So the server answered with the TLS alert “{alert}”, and no request reached it.")


def _call(target: Target, identity: str | None) -> subprocess.CompletedProcess[str]:
    with _forwarded(target) as port:
        command = curl(port, identity)
        telling.command(command)
        return subprocess.run(
            [*command, "--max-time", "20"], cwd=folder(), capture_output=True, text=True, check=False
        )


@contextlib.contextmanager
def _forwarded(target: Target) -> Iterator[int]:
    """Forward a free port of this machine to the service; kubectl ends that when a connection is reset."""
    words = target.command("kubectl", "port-forward", IN_NAMESPACE, f"service/{SERVICE}", f":{PORT}")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=target.environment) as forwarding:
        try:
            assert forwarding.stdout
            found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.stdout.readline())
            if not found:
                raise ClusterError("`kubectl port-forward` failed; it said why above.")
            yield int(found[1])
        finally:
            forwarding.terminate()


def _failed_handshakes(target: Target) -> list[str]:
    selector = f"--selector=app.kubernetes.io/instance={SERVICE}"
    lines = target.kubectl("logs", IN_NAMESPACE, selector, "--since=30s", "--tail=-1").splitlines()
    return [line for line in lines if '"handshake_failed"' in line]
