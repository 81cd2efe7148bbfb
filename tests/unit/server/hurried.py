"""An application whose callers have less time, when they lose permission, than those of others."""

from mtls_server.http import peer
from tests.unit.server.apps import busy

GRACE_SECONDS = 3.0

vars(peer)["GRACE_SECONDS"] = GRACE_SECONDS  # no test has a minute to wait
app = busy
