"""The server alone, by the very commands of its manual."""

import http.client
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from mtls_server import __main__
from mtls_server.main import main
from tests.unit.server.conftest import World
from tests.unit.server.program import ROOT, running

MANUAL = ROOT / "docs" / "server.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands of the manual were run."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    commands = re.search(r"```sh\n(mkdir certs caller\n.*?)```", MANUAL.read_text(), re.DOTALL)
    assert commands
    shell = ["bash", "-e", "-o", "pipefail", "-c", commands[1]]
    subprocess.run(shell, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    return tmp_path


def test_files_made_as_documented_serve(world: World, folder: Path) -> None:
    with running(world, folder, "identity", deliver_first=False) as program:
        context = ssl.create_default_context(cafile=folder / "caller" / "ca.crt")
        context.load_cert_chain(folder / "caller" / "tls.crt", folder / "caller" / "tls.key")
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        connection = http.client.HTTPSConnection("localhost", program.port, context=context, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 200
        assert b'"client":"billing"' in answer.read()
        connection.close()


def test_files_made_as_documented_are_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate = str(folder / "caller" / "tls.crt")
    assert main(["explain", "--dir", str(folder / "certs"), "--cert", certificate, "GET", "/"]) == 0
    assert "granted by   clients: client billing, roles reader" in capsys.readouterr().out


def test_an_older_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 12, 9))
    with pytest.raises(SystemExit, match=r"needs Python 3\.13 or newer"):
        __main__.main()
