"""``mtls-server``, or ``python -m mtls_server``."""

import sys

NEEDED = (3, 13)
"""For `SSLSocket.get_verified_chain`; what the operator shares with this package needs less."""


def main() -> int:
    """Run the command, if Python is new enough to read it."""
    if sys.version_info < NEEDED:
        version = ".".join(map(str, NEEDED))
        sys.exit(f"mtls-server needs Python {version} or newer; this is {sys.version.split()[0]}")
    from mtls_server.main import main as serve  # noqa: PLC0415 - an older Python cannot import it

    return serve()


if __name__ == "__main__":
    sys.exit(main())
