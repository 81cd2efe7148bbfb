"""``python -m mtls_server`` is ``mtls-server``."""

import sys

from mtls_server.main import main

sys.exit(main())
