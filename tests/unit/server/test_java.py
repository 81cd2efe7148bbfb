"""A Java program calls the server with the PKCS#12 stores that a client's Secret holds."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mtls_operator.pki.keystore import encode_keystore, encode_truststore
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import ROOT, running

CALLER = ROOT / "tests" / "e2e" / "java" / "Caller.java"
NAMES = (*pki.SERVER_NAMES, "localhost")
PASSWORD = "changeit"

pytestmark = pytest.mark.skipif(not shutil.which("java"), reason="Java is not on PATH")


def call(directory: Path, port: int, caller: pki.Issued, trusted: pki.Issued) -> tuple[int, str]:
    """Return Java's exit code, and what it printed or the exception that ended it."""
    keystore, truststore = directory / "keystore.p12", directory / "truststore.p12"
    keystore.write_bytes(encode_keystore(caller.key, [caller.certificate], "billing", PASSWORD.encode()))
    truststore.write_bytes(encode_truststore([trusted.certificate], PASSWORD.encode()))
    command = ["java", str(CALLER), str(keystore), str(truststore), f"https://localhost:{port}/"]
    environment = os.environ | {"STORE_PASSWORD": PASSWORD}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return said.returncode, said.stdout or said.stderr


def test_a_java_http_client_is_known_by_its_keystore_and_knows_the_server_by_its_truststore(
    world: World, tmp_path: Path
) -> None:
    served = pki.server(world.server_authority, dns_names=NAMES)
    granted = pki.policy(world.client_authority, server_names=NAMES)
    caller = pki.client(world.client_authority)
    deliver(tmp_path / "certs", pki.files(served, world.client_authority, granted=granted))
    with running(world, tmp_path, "identity", deliver_first=False) as program:
        code, said = call(tmp_path, program.port, caller, world.server_authority)
        assert code == 0, said
        status, body = said.split("\n", 1)
        assert (status, json.loads(body)["client"]) == ("200", "billing")
        code, said = call(tmp_path, program.port, caller, pki.authority())
        assert (code, "unable to find valid certification path" in said) == (1, True)
        code, said = call(tmp_path, program.port, pki.client(pki.authority()), world.server_authority)
        assert (code, "unknown_ca" in said) == (1, True)
