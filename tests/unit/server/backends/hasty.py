"""An application whose callers may be silent for a second only."""

from mtls_server import service
from tests.unit.server.backends import asgi_apps

vars(service)["KEEP_ALIVE_SECONDS"] = 1  # no test has more than a minute to wait
app = asgi_apps.app
