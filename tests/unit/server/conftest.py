from dataclasses import dataclass, field

import pytest

from mtls_server.files.context import TlsSettings
from mtls_server.files.material import Generation, build
from tests.unit.server import pki


@dataclass(frozen=True)
class World:
    """One service: both authorities, the served certificate, a caller."""

    server_authority: pki.Issued = field(default_factory=lambda: pki.authority("server authority"))
    client_authority: pki.Issued = field(default_factory=lambda: pki.authority("client authority"))

    def files(self, **bent: object) -> dict[str, bytes]:
        return pki.files(pki.server(self.server_authority, **bent), self.client_authority)  # type: ignore[arg-type]

    def generation(self, number: int = 1, settings: TlsSettings | None = None) -> Generation:
        return build(self.files(), number, settings or TlsSettings(), pki.at())


@pytest.fixture(scope="session")
def world() -> World:
    return World()
