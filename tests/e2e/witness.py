"""Everything that the run says in public, and every secret that it must not say."""

import base64
import contextlib
import json
import re
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from threading import Event, Thread
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.cluster.layout import Cluster
from tests.e2e.reader import (
    EVENT,
    MTLS_CLIENT,
    MTLS_SERVICE,
    POD,
    SECRET,
    WORKLOAD,
    Kind,
    Object,
    Reader,
    decoded,
)

PUBLIC = (MTLS_SERVICE, MTLS_CLIENT, POD, *WORKLOAD, EVENT)
NEEDLE = 40
"""Characters of key material in a row that count as having said it."""
PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----")
MATERIAL = re.compile(rf"[A-Za-z0-9+/=]{{{NEEDLE},}}")


class Witness:
    """Follows all objects and all logs from beginning to end."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stop = Event()
        self._logs: dict[Path, BufferedReader] = {}
        self.said: set[str] = set()
        """Statuses, annotations and Events, as JSON."""
        self.authorities: dict[str, list[Object]] = {}
        """Name of each authority Secret to all its versions."""
        self.keys: set[bytes] = set()
        """Every private key that was in a Secret, as PEM."""
        self.certificates: set[bytes] = set()
        kinds = [*PUBLIC, SECRET]
        self._threads = [Thread(target=self._follow, args=(kind,), daemon=True) for kind in kinds]
        self._threads.append(Thread(target=self._keep_logs, daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)
        for log in self._logs.values():
            log.close()

    def logs(self) -> Iterator[tuple[Path, str]]:
        """Yield the whole log of each container that ever ran; an open file outlives its pod."""
        for path, log in list(self._logs.items()):
            log.seek(0)
            yield path, log.read().decode(errors="replace")

    def needles(self) -> set[str]:
        """Return what nobody may say: pieces of each key and certificate, in the forms they come in."""
        return {piece for secret in self.keys | self.certificates for piece in _pieces(secret)}

    def _follow(self, kind: Kind) -> None:
        reader = Reader(self._cluster.kubeconfig, timeout=5)
        for change, observed in reader.follow(kind, self._stop):
            metadata = observed["metadata"]
            if kind == SECRET:
                self._take_in_secret(change, observed)
            elif kind == EVENT:
                self.said.add(
                    json.dumps({key: value for key, value in observed.items() if key != "metadata"})
                )
            else:
                self.said.add(json.dumps([observed.get("status"), metadata.get("annotations")]))
        reader.close()

    def _take_in_secret(self, change: str, secret: Object) -> None:
        metadata = secret["metadata"]
        self.said.add(json.dumps(metadata.get("annotations")))
        if metadata["name"].startswith("authority-"):
            self.authorities.setdefault(metadata["name"], []).append({"change": change, **secret})
        for contents in decoded(secret).values():
            if b"PRIVATE KEY" in contents:
                self.keys.add(contents)
            elif b"BEGIN CERTIFICATE" in contents:
                self.certificates.add(contents)

    def _keep_logs(self) -> None:
        folder = self._cluster.state / "node" / "log" / "pods"
        while not self._stop.wait(0.2):
            with contextlib.suppress(FileNotFoundError):  # a pod went meanwhile: look again
                for path in folder.glob("*/*/*.log"):
                    if path not in self._logs:
                        self._logs[path] = path.open("rb")


def overheard(text: str, needles: set[str]) -> list[str]:
    """Return what of a text may not be said; never more of it than its beginning."""
    found = [match.group()[:16] for match in PEM.finditer(text)]
    for run in {match.group() for match in MATERIAL.finditer(text)}:
        pieces = (run[at : at + NEEDLE] for at in range(len(run) - NEEDLE + 1))
        found += [piece[:8] for piece in pieces if piece in needles]
    return found


def _pieces(secret: bytes) -> Iterator[str]:
    """Return the beginning of each line, pieces of the whole as a Secret encodes it, and a key in hex."""
    lines = secret.decode(errors="replace").splitlines()
    yield from (line[:NEEDLE] for line in lines if len(line) >= NEEDLE and not line.startswith("-"))
    encoded = base64.b64encode(secret).decode()
    yield from (encoded[at : at + NEEDLE] for at in range(0, len(encoded) - NEEDLE, NEEDLE))
    if b"PRIVATE KEY" in secret:
        key = load_pem_private_key(secret, password=None)
        assert isinstance(key, EllipticCurvePrivateKey)
        yield f"{key.private_numbers().private_value:064x}"[:NEEDLE]
