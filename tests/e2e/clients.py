"""Callers as people have them: openssl, curl, Python's http.client, Node's https, Java's HttpClient."""

import http.client
import json
import os
import socket
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

JAVA_CLIENT = Path(__file__).parent / "java" / "Caller.java"
NODE_CLIENT = Path(__file__).parent / "node" / "client.js"


@dataclass(frozen=True)
class Target:
    """Where a server is reached, and the name that its certificate must carry."""

    address: str
    port: int
    name: str


@dataclass(frozen=True)
class Files:
    """What a caller mounts: the CAs it trusts and, unless it is anonymous, its certificate and key."""

    anchors: Path
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, data: dict[str, bytes], folder: Path) -> "Files":
        """Write the data of a client Secret into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, contents in data.items():
            (folder / name).write_bytes(contents)
        return cls(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")

    def without_certificate(self) -> "Files":
        return Files(self.anchors)

    def identity(self, certificate_option: str, key_option: str) -> list[str]:
        """Return the arguments that name certificate and key; none for an anonymous caller."""
        if self.certificate is None:
            return []
        return [certificate_option, str(self.certificate), key_option, str(self.key)]

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.anchors)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True)
class Outcome:
    """What a caller got: status and body of the response, or its own words for what went wrong."""

    status: int | None
    body: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def curl(target: Target, files: Files, path: str = "/", *options: str) -> Outcome:
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]
    command += ["--resolve", f"{target.name}:{target.port}:{target.address}"]
    command += ["--cacert", str(files.anchors), *files.identity("--cert", "--key")]
    command += ["--write-out", "\n%{http_code}", *options, f"https://{target.name}:{target.port}{path}"]
    result = _run(command)
    body, _, status = result.stdout.rpartition("\n")
    return Outcome(int(status) or None, body, result.stderr.strip())


def openssl(target: Target, files: Files, *options: str) -> Outcome:
    """Send a request with openssl s_client, which tells every alert by its name."""
    command = ["openssl", "s_client", "-quiet", "-connect", f"{target.address}:{target.port}"]
    command += ["-servername", target.name, "-verify_hostname", target.name, "-verify_return_error"]
    command += ["-CAfile", str(files.anchors), *files.identity("-cert", "-key"), *options]
    result = _run(command, stdin=f"GET / HTTP/1.0\r\nHost: {target.name}\r\n\r\n")
    head, _, body = result.stdout.partition("\n\n")
    return Outcome(int(head.split()[1]) if head else None, body, result.stderr.strip())


def node(target: Target, files: Files) -> Outcome:
    """Send a request with Node's https; an error is told by its code."""
    options = {
        "address": target.address,
        "port": target.port,
        "name": target.name,
        "ca": str(files.anchors),
        **({"cert": str(files.certificate), "key": str(files.key)} if files.certificate else {}),
    }
    result = _run(["node", str(NODE_CLIENT), json.dumps(options)])
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    return Outcome(answer.get("status"), answer.get("body", ""), answer.get("code", ""))


def java(target: Target, stores: Path, password: str) -> Outcome:
    """Send a request with Java's HttpClient, which reads the PKCS#12 stores in a folder."""
    hosts = stores / "hosts"
    hosts.write_text(f"{target.address} {target.name}\n")
    files = [str(stores / "keystore.p12"), str(stores / "truststore.p12")]
    command = ["java", f"-Djdk.net.hosts.file={hosts}", str(JAVA_CLIENT), *files]
    command.append(f"https://{target.name}:{target.port}/")
    result = _run(command, environment={"STORE_PASSWORD": password})
    status, _, body = result.stdout.partition("\n")
    return Outcome(int(status) if status else None, body, result.stderr.strip())


class Connection(http.client.HTTPSConnection):
    """A connection of Python's http.client that goes to a target, whatever its name resolves to."""

    def __init__(self, target: Target, context: ssl.SSLContext, timeout: float = 20) -> None:
        super().__init__(target.name, target.port, timeout=timeout, context=context)
        self._target = target
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self._target.address, self._target.port), self.timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._target.name)
        except BaseException:
            plain.close()
            raise

    def served_serial(self) -> int:
        """Return the serial number of the server's certificate."""
        assert isinstance(self.sock, ssl.SSLSocket)
        der = self.sock.getpeercert(binary_form=True)
        assert der
        return x509.load_der_x509_certificate(der).serial_number

    def fetch(self, path: str = "/") -> bytes:
        """Send a request and return the whole body of its successful response."""
        self.request("GET", path)
        response = self.getresponse()
        body = response.read()
        assert response.status == 200, f"{response.status} {body!r}"
        return body

    def wait_until_closed(self) -> None:
        """Wait, with nothing asked, until the server closes it."""
        assert self.sock
        with closing(self), suppress(ConnectionError):
            assert self.sock.recv(1) == b""


def python(target: Target, files: Files, path: str = "/") -> Outcome:
    connection = Connection(target, files.context())
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Outcome(response.status, response.read().decode(), "")
    except OSError as error:
        return Outcome(None, "", str(error))
    finally:
        connection.close()


def certificate_says(certificate: Path | None, *question: str) -> str:
    """Return what `openssl x509` prints when asked about a certificate."""
    assert certificate
    return _run(["openssl", "x509", "-in", str(certificate), "-noout", *question], check=True).stdout.strip()


def _run(
    command: list[str], *, stdin: str = "", check: bool = False, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=check,
        timeout=60,
    )
