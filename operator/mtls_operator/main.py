"""`mtls-operator`: the program."""

import asyncio
import sys

from mtls_operator import logs, options
from mtls_operator.assembly import operate


def main() -> None:
    """Run the operator until it is told to stop."""
    given = options.parse(sys.argv[1:])
    logs.configure(given.log_format, given.log_level)
    asyncio.run(operate(given))


if __name__ == "__main__":
    main()
