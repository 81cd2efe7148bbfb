"""What runs in the caller's pod: it calls without a pause, and prints what it met as lines of JSON.

Its source is handed to the pod as it is, so it needs nothing but Python's standard library. A line tells of
the time since the last one: requests answered, serials of certificates that new connections met, failures.
"""

import http.client
import json
import ssl
import sys
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

SECRET = Path("/etc/client")
KEPT_CONNECTIONS = 20
BETWEEN_REQUESTS = 0.2
"""Seconds between two requests of a connection that is kept alive."""
BETWEEN_CONNECTIONS = 0.05
"""Seconds between two new connections."""
BETWEEN_LINES = 0.25
FAILURES = (OSError, http.client.HTTPException)


class Outcome(NamedTuple):
    """What came of one request; the serial is of the certificate that a new connection met."""

    serial: str | None = None
    failure: str | None = None


class Caller:
    """Calls one server until it is told to stop, and tells what came of it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._stopping = threading.Event()
        work = [self._connect_anew, *[self._keep_alive] * KEPT_CONNECTIONS]
        self._threads = [threading.Thread(target=target) for target in work]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def news(self) -> dict[str, object]:
        """Return what has come about since the last call."""
        outcomes = []
        try:
            while True:
                outcomes.append(self._outcomes.get_nowait())
        except Empty:
            serials = [outcome.serial for outcome in outcomes if outcome.serial]
            failures = [outcome.failure for outcome in outcomes if outcome.failure]
            return {
                "requests": len(outcomes) - len(failures),
                "connections": len(serials),
                "serials": sorted(set(serials)),
                "failures": failures,
            }

    def _keep_alive(self) -> None:
        try:
            connection, _ = self._connect()
            connection.auto_open = 0  # a connection that the server closes is a failure, not a new connection
            while not self._stopping.wait(BETWEEN_REQUESTS):
                _fetch(connection)
                self._outcomes.put(Outcome())
        except FAILURES as failure:
            self._outcomes.put(Outcome(failure=f"connection kept alive: {failure}"))

    def _connect_anew(self) -> None:
        while not self._stopping.wait(BETWEEN_CONNECTIONS):
            try:
                connection, serial = self._connect()
                _fetch(connection)
                connection.close()
                self._outcomes.put(Outcome(serial))
            except FAILURES as failure:
                self._outcomes.put(Outcome(failure=f"new connection: {failure}"))

    def _connect(self) -> tuple[http.client.HTTPSConnection, str]:
        connection = http.client.HTTPSConnection(*self._address, context=_identity(), timeout=10)
        connection.connect()
        certificate = connection.sock.getpeercert() or {}
        return connection, f"{int(str(certificate['serialNumber']), 16):x}"


def _identity() -> ssl.SSLContext:
    """Read the files anew, all of one delivery: `..data` is the link that kubelet swaps."""
    files = (SECRET / "..data").resolve()
    context = ssl.create_default_context(cafile=files / "ca.crt")
    context.load_cert_chain(files / "tls.crt", files / "tls.key")
    return context


def _fetch(connection: http.client.HTTPSConnection) -> None:
    connection.request("GET", "/")
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise http.client.HTTPException(f"answered with {response.status}")


def main(host: str, port: int, seconds: float) -> None:
    caller = Caller(host, port)
    caller.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(BETWEEN_LINES)
        print(json.dumps(caller.news()), flush=True)
    caller.stop()
    print(json.dumps(caller.news()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
