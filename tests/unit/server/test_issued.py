"""What the operator issues, judged by this Python's `ssl` with strict rules on both sides of a handshake."""

import ssl

import pytest

from tests.verifiers.issued import Case, cases


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return list(cases(tmp_path_factory.mktemp("issued")))


def test_what_is_issued_is_accepted_and_what_is_wrong_refused(issued: list[Case]) -> None:
    verdicts = {case.name: _refusal(case) for case in issued}
    assert not {
        case.name: verdicts[case.name] for case in issued if case.accepted == bool(verdicts[case.name])
    }


def _refusal(case: Case) -> str:
    """Shake hands in memory; return why the verifying side refused."""
    purpose = ssl.Purpose.SERVER_AUTH if case.role == "server" else ssl.Purpose.CLIENT_AUTH
    verifying = ssl.create_default_context(purpose, cafile=case.trust)
    verifying.verify_mode = ssl.CERT_REQUIRED
    assert verifying.verify_flags & ssl.VERIFY_X509_STRICT
    presenting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if case.role == "server" else ssl.PROTOCOL_TLS_CLIENT)
    presenting.check_hostname = False
    presenting.verify_mode = ssl.CERT_NONE
    presenting.load_cert_chain(case.certificate, case.key)
    if case.role == "client":
        verifying.load_cert_chain(case.certificate, case.key)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving, calling = (presenting, verifying) if case.role == "server" else (verifying, presenting)
    server = serving.wrap_bio(there, back, server_side=True)
    client = calling.wrap_bio(back, there, server_hostname=case.host)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return str(error)
    return ""
