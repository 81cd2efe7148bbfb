"""What the operator issues is accepted by those who verify it in the field, and what is wrong is refused."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cluster import packages
from tests.cluster.binaries import go
from tests.verifiers.issued import Case, cases

PROGRAMS = Path(__file__).parent / "programs"
Verifier = Callable[[Sequence[Case]], list[str]]
"""Takes cases and returns, in order, why each is refused; empty where it is accepted."""


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return list(cases(tmp_path_factory.mktemp("issued")))


def by_openssl(issued: Sequence[Case]) -> list[str]:
    packages.require("openssl")
    return [_openssl(case) for case in issued]


def by_go(issued: Sequence[Case]) -> list[str]:
    return _by_json([go(), "run", str(PROGRAMS / "verify.go")], issued)


def by_node(issued: Sequence[Case]) -> list[str]:
    packages.require("nodejs")
    return _by_json(["node", str(PROGRAMS / "verify.mjs")], issued)


def by_java(issued: Sequence[Case]) -> list[str]:
    if shutil.which("java") is None:
        packages.require("default-jdk-headless")
    fields = (f"{case.role}\t{case.host}\t{case.trust}\t{case.certificate}\t{case.key}" for case in issued)
    program = ["java", str(PROGRAMS / "Verify.java")]
    return _run(program, "\n".join(fields)).removesuffix("\n").split("\n")


@pytest.mark.parametrize("verifier", [by_openssl, by_go, by_node, by_java])
def test_what_is_issued_is_accepted_and_what_is_wrong_refused(verifier: Verifier, issued: list[Case]) -> None:
    refusals = verifier(issued)
    verdicts = {case.name: refusal for case, refusal in zip(issued, refusals, strict=True)}
    wrong = {case.name: verdicts[case.name] for case in issued if case.accepted == bool(verdicts[case.name])}
    assert not wrong


def _openssl(case: Case) -> str:
    names = ["-verify_hostname", case.host] if case.role == "server" else []
    command = ["openssl", "verify", "-x509_strict", "-purpose", f"ssl{case.role}", "-CAfile", case.trust]
    command += [*names, "-untrusted", case.certificate, case.certificate]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return "" if done.returncode == 0 else done.stderr


def _by_json(program: Sequence[str], issued: Sequence[Case]) -> list[str]:
    refusals: list[str] = json.loads(_run(program, json.dumps([case.as_json() for case in issued])))
    return refusals


def _run(program: Sequence[str], text: str) -> str:
    return subprocess.run(
        program, input=text, stdout=subprocess.PIPE, text=True, check=True, timeout=180
    ).stdout
