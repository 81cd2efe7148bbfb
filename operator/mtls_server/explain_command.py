"""The command ``mtls-server explain``."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from mtls_server.contract import POLICY, TRUST_ANCHORS
from mtls_server.explain import Question, explain
from mtls_server.files.certificates import read_certificates
from mtls_server.files.checks import examine
from mtls_server.files.delivery import load
from mtls_server.files.faults import MaterialError

LABEL_WIDTH: Final = 12


def main(words: Sequence[str]) -> int:
    """Print what would be answered and why, and return 0 allowed, 1 refused, 2 misused or unanswerable."""
    parser = _parser()
    given = parser.parse_args(words)
    now = datetime.now(UTC)
    try:
        material = examine(load(given.dir), now, x509_strict=False)
    except MaterialError as error:
        parser.error(f"the files in {given.dir} cannot serve: {error}")
    refusal = explain(material, Question(given.cert, given.method, given.target), now, _say)
    _say("answer", refusal or "the application's")
    return 0 if refusal is None else 1


def _say(label: str, text: str) -> None:
    """Write a line; a certificate may name its holder with what a terminal would obey."""
    shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    sys.stdout.write(f"{label:<{LABEL_WIDTH}} {shown}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mtls-server explain",
        description="Tells what the server would answer to a request, and which part of the policy decides.",
        epilog="The exit status is 0 where the request reaches the application, 1 where it is refused, and 2"
        " where nothing can be said.",
    )
    parser.add_argument(
        "--dir", type=Path, required=True, help=f"directory with {TRUST_ANCHORS}, {POLICY} and the rest"
    )
    parser.add_argument(
        "--cert",
        type=_certificates,
        required=True,
        help="file of the caller's certificate (PEM) and then its intermediates; - is standard input",
    )
    parser.add_argument("method", type=_method, metavar="METHOD", help="such as GET")
    parser.add_argument("target", type=_target, metavar="PATH", help="such as /orders/1")
    return parser


def _method(text: str) -> str:
    if text.isascii() and text.isupper():
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no method; write it in upper case, such as GET")


def _target(text: str) -> str:
    if text.isascii() and text.startswith("/"):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is no path as a request has it; it begins with /, and what is not ASCII is percent-encoded"
    )


def _certificates(path: str) -> Sequence[x509.Certificate]:
    try:
        pem = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return read_certificates(path, pem)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be read: {error.strerror}") from None
    except MaterialError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
