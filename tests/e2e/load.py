"""Callers that never rest: each failure and each certificate they met is kept."""

import http.client
import math
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Self

from cryptography import x509

from tests.e2e.clients import Connection, Files, Target
from tests.e2e.reader import SECRET, Reader, decoded

BETWEEN_REQUESTS = 0.5
"""Seconds between two requests of a connection that is kept alive."""
CALLERS = 16
"""Fresh connections at once."""
FAILURES = (OSError, http.client.HTTPException, AssertionError)


@dataclass(frozen=True)
class Met:
    """A server certificate that a fresh connection met; times are of the monotonic clock."""

    begun: float
    done: float
    pod: str
    serial: int


class SecretFollower:
    """Follows one Secret through the API: its certificates, and a TLS context made of the newest one.

    One that lags uses what is new only after so many seconds, as a caller that mounts the Secret may.
    """

    def __init__(self, kubeconfig: Path, namespace: str, name: str, folder: Path, lag: float = 0) -> None:
        self._reader = Reader(kubeconfig, timeout=5)
        self._namespace, self._name, self._folder = namespace, name, folder
        self._stop = Event()
        self._thread = Thread(target=self._follow, daemon=True)
        self.serials: dict[int, float] = {}
        """Serial of each certificate to when it was seen, by the monotonic clock."""
        self.versions = 0
        self._lag = lag
        self._contexts: list[tuple[float, ssl.SSLContext]] = []

    @property
    def context(self) -> ssl.SSLContext:
        """Return what the caller uses now."""
        now = time.monotonic()
        usable = [context for since, context in self._contexts if since <= now]
        return usable[-1] if usable else self._contexts[0][1]

    def __enter__(self) -> Self:
        self._take_in(self._reader.data(self._namespace, self._name))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        self._reader.close()

    def _follow(self) -> None:
        for change, secret in self._reader.follow(SECRET, self._stop, self._namespace):
            if secret["metadata"]["name"] == self._name and change != "DELETED":
                self._take_in(decoded(secret))

    def _take_in(self, data: dict[str, bytes]) -> None:
        serial = x509.load_pem_x509_certificate(data["tls.crt"]).serial_number
        now = time.monotonic()
        self.serials.setdefault(serial, now)
        self.versions += 1
        files = Files.of(data, self._folder / str(self.versions))
        self._contexts.append((now + self._lag, files.context()))


@dataclass
class Load:
    """Requests over connections that are kept alive, and over fresh ones, until it ends."""

    kept: Target
    """Where connections go that are kept alive."""
    fresh: Sequence[Target]
    """Where fresh ones go, by turns."""
    steady: Callable[[], ssl.SSLContext]
    """How a connection that is kept alive identifies itself from now on."""
    brief: Callable[[], ssl.SSLContext]
    """How a fresh connection does now."""
    kept_connections: int
    fresh_per_second: int
    kept_for: float = math.inf
    """Seconds after which a connection that is kept alive gives way to another."""
    failures: list[str] = field(default_factory=list)
    met: list[Met] = field(default_factory=list)
    """One for each fresh connection that succeeded."""
    _answered: list[int] = field(default_factory=list)
    _stop: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many requests connections that are kept alive have had answered."""
        return sum(self._answered)

    def __enter__(self) -> Self:
        self._answered = [0] * self.kept_connections
        self._threads = [
            Thread(target=self._keep_alive, args=(number,), daemon=True)
            for number in range(self.kept_connections)
        ]
        self._threads.append(Thread(target=self._connect_again_and_again, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _keep_alive(self, number: int) -> None:
        self._stop.wait(BETWEEN_REQUESTS * number / self.kept_connections)
        while not self._stop.is_set() and self._keep_one_alive(number):
            pass

    def _keep_one_alive(self, number: int) -> bool:
        connection = Connection(self.kept, self.steady())
        ends = time.monotonic() + self.kept_for
        try:
            connection.connect()
            connection.auto_open = 0  # a connection that the server closes is a failure, not a new connection
            while not self._stop.is_set() and time.monotonic() < ends:
                connection.fetch()
                self._answered[number] += 1
                if connection.sock is None and self.kept_for < math.inf:
                    break  # the server said that it closes, as it does before it ends
                self._stop.wait(BETWEEN_REQUESTS)
        except FAILURES as failure:
            self.failures.append(f"kept connection {number}, request {self._answered[number]}: {failure!r}")
            return False
        finally:
            connection.close()
        return True

    def _connect_again_and_again(self) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(CALLERS) as callers:
            for number in count():
                due = began + number / self.fresh_per_second
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                callers.submit(self._call, self.fresh[number % len(self.fresh)])

    def _call(self, target: Target) -> None:
        connection = Connection(target, self.brief())
        try:
            begun = time.monotonic()
            connection.connect()
            self.met.append(Met(begun, time.monotonic(), target.address, connection.served_serial()))
            connection.fetch()
        except FAILURES as failure:
            self.failures.append(f"fresh connection to {target.address}: {failure!r}")
        finally:
            connection.close()
