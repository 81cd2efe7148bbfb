"""Rules of `template`: what could undo the protection of the server's pods."""

from typing import Final

from mtls_operator.api.schema import Rule

POD_IDENTITY: Final = Rule(
    "!has(self.serviceAccountName) && !has(self.serviceAccount) && !has(self.automountServiceAccountToken)",
    "The pods have a ServiceAccount of their own, without rights and token; remove serviceAccountName,"
    " serviceAccount and automountServiceAccountToken",
)
HOST_NAMESPACES: Final = Rule(
    "!has(self.hostNetwork) && !has(self.hostPID) && !has(self.hostIPC)",
    "The pods stay apart from their node; remove hostNetwork, hostPID and hostIPC",
)
EPHEMERAL_CONTAINERS: Final = Rule(
    "!has(self.ephemeralContainers)",
    "Ephemeral containers are added to a running pod, with kubectl debug; remove ephemeralContainers",
)
HOST_PATH: Final = Rule(
    "!has(self.hostPath)",
    "A path of the node would open the node to the pod; write an emptyDir or another volume",
)
SERVICE_ACCOUNT_TOKEN: Final = Rule(
    "!has(self.serviceAccountToken)",
    "The server's pods get no token of a ServiceAccount; remove serviceAccountToken",
)
OUR_VOLUME: Final = Rule(
    "self.name != 'mtls'", "The volume mtls carries the server's certificate; give yours another name"
)
SERVER_COMMAND: Final = Rule(
    "self.name != 'server' || (!has(self.command) && !has(self.args))",
    "The container server is started by its own command; remove command and args, or name your container"
    " differently",
)
PRIVILEGED: Final = Rule(
    "!self.?privileged.orValue(false)", "Containers run without privileges; remove privileged"
)
CAPABILITIES: Final = Rule("!has(self.add)", "Containers get no capabilities; remove add")
