"""The command ``mtls-server``."""

import argparse
import asyncio
import logging
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mtls_server import __version__, arguments, explain_command, logs
from mtls_server.backends import commands
from mtls_server.backends.errors import BackendError
from mtls_server.contract import ADMIN_PORT, CERTIFICATE, POLICY, PRIVATE_KEY, SERVER_PORT, TRUST_ANCHORS
from mtls_server.files.context import TlsSettings
from mtls_server.server import Drain
from mtls_server.service import Options, StartError, run

try:
    from uvloop import Loop as EventLoop
except ImportError:
    from asyncio import SelectorEventLoop as EventLoop  # type: ignore[assignment]

LOGGER: Final = logging.getLogger("mtls_server")
USAGE: Final = """mtls-server --dir DIR [OPTION ...] BACKEND [OPTION OF THE BACKEND ...] [APP | URL]
       mtls-server explain --dir DIR --cert CERT METHOD PATH"""
VERSIONS: Final = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 ended by a signal, 1 could not start, 2 misused."""
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["explain"]:
        return explain_command.main(words[1:])
    given = command_line().parse_args(words)
    logs.configure()
    sys.path.insert(0, str(Path.cwd()))
    failures: list[BaseException] = []
    try:
        with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=EventLoop) as runner:
            runner.run(run(_options(given)))
    except* (StartError, BackendError) as group:
        failures.extend(group.exceptions)
    for failure in failures:
        LOGGER.error("cannot start: %s", failure, exc_info=failure.__cause__)
    return 1 if failures else 0


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line, which has what the environment sets as defaults."""
    drain = Drain()
    parser = argparse.ArgumentParser(
        prog="mtls-server",
        usage=USAGE,
        description="Serves an application to callers with a client certificate, and tells it who calls.",
        epilog="mtls-server BACKEND --help lists the options of a backend;"
        " mtls-server explain tells which part of the policy decides on a request. Limits, times and"
        f" --access-log may be set by variables, too, such as {arguments.variable('--caller-connections')}.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--dir",
        type=Path,
        required=True,
        help=f"directory of {CERTIFICATE}, {PRIVATE_KEY}, {TRUST_ANCHORS} and {POLICY}; changes are followed",
    )
    parser.add_argument("--host", help="address to listen on (default: every address)")
    parser.add_argument(
        "--port", type=arguments.port, default=SERVER_PORT, help="to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--admin-port",
        type=arguments.port,
        default=ADMIN_PORT,
        help="plain HTTP for /livez, /readyz, /metrics and /state (default: %(default)s)",
    )
    parser.add_argument(
        "--min-version", choices=VERSIONS, default="1.3", help="oldest TLS version accepted (default: 1.3)"
    )
    parser.add_argument(
        "--no-x509-strict",
        dest="x509_strict",
        action="store_false",
        help="accept certificates that break RFC 5280, such as an authority without keyUsage",
    )
    arguments.add(
        parser,
        "--drain-delay",
        drain.delay,
        type=arguments.seconds,
        metavar="SECONDS",
        help=f"go on accepting for so long after SIGTERM (default: {drain.delay:g})",
    )
    arguments.add(
        parser,
        "--grace",
        drain.grace,
        type=arguments.seconds,
        metavar="SECONDS",
        help=f"end what is still under way so long after SIGTERM (default: {drain.grace:g})",
    )
    arguments.add(
        parser,
        "--caller-connections",
        type=arguments.count,
        metavar="COUNT",
        help="admit so many connections of one caller (default: half of those that there is room for)",
    )
    arguments.add_flag(
        parser,
        "--access-log",
        "write a line of JSON for each request to standard output",
    )
    commands.add_arguments(parser)
    return parser


def _options(given: argparse.Namespace) -> Options:
    return Options(
        directory=given.dir,
        host=given.host,
        port=given.port,
        admin_port=given.admin_port,
        tls=TlsSettings(VERSIONS[given.min_version], given.x509_strict),
        drain=Drain(given.drain_delay, given.grace),
        backend=commands.build(given),
        caller_connections=given.caller_connections,
        access_log=sys.stdout.buffer if given.access_log else None,
    )
