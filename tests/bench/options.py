"""Options that measurements share: each is a parser, for `parents` of another one."""

import argparse
import subprocess
import sys
from typing import Final

_CAN_SERVE: Final = "import sys, httptools, msgspec, uvicorn, uvloop; sys.exit(sys.version_info < (3, 13))"


def _serving_python(path: str) -> str:
    try:
        check = subprocess.run([path, "-c", _CAN_SERVE], capture_output=True, check=False)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be run: {error.strerror}") from None
    if check.returncode:
        raise argparse.ArgumentTypeError(
            f"{path} cannot run the servers: they need Python 3.13 and tests/bench/requirements.txt;"
            " name one that has them, as in make bench-server BENCH='--python PATH'"
        )
    return path


PYTHON: Final = argparse.ArgumentParser(add_help=False)
PYTHON.add_argument(
    "--python",
    type=_serving_python,
    default=sys.executable,
    metavar="PATH",
    help="runs the servers that are written in Python (default: this one)",
)
WRITE: Final = argparse.ArgumentParser(add_help=False)
WRITE.add_argument(
    "--write", action="store_true", help="into docs/benchmarks.md, with the plot if there is one"
)
