"""What could undo the protection of the server's pods."""

from collections.abc import Callable
from typing import Any

from mtls_operator.api.rules import pods, values
from tests.apiserver.cases.case import Case, Spec


def pod(**fields: Any) -> Spec:
    return {"template": {"spec": fields}}


def container(**fields: Any) -> Spec:
    return pod(containers=[{"name": "sidecar"} | fields])


def volume(**fields: Any) -> Spec:
    return pod(volumes=[{"name": "data"} | fields])


READERS: dict[str, Callable[[str], Spec]] = {
    "volumes[0].secret.secretName": lambda name: volume(secret={"secretName": name}),
    "volumes[0].projected.sources[0].secret.name": lambda name: volume(
        projected={"sources": [{"secret": {"name": name}}]}
    ),
    "containers[0].env[0].valueFrom.secretKeyRef.name": lambda name: container(
        env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": name, "key": "key"}}}]
    ),
    "containers[0].envFrom[0].secretRef.name": lambda name: container(
        envFrom=[{"secretRef": {"name": name}}]
    ),
    "initContainers[0].envFrom[0].secretRef.name": lambda name: pod(
        initContainers=[{"name": "warm-up", "envFrom": [{"secretRef": {"name": name}}]}]
    ),
}
"""Every field of a pod that names a Secret."""


CASES = [
    Case(
        pods.POD_IDENTITY,
        "spec.template.spec",
        (pod(nodeSelector={"disk": "ssd"}),),
        (
            pod(serviceAccountName="admin"),
            pod(serviceAccount="admin"),
            pod(automountServiceAccountToken=True),
        ),
    ),
    Case(
        pods.HOST_NAMESPACES,
        "spec.template.spec",
        (pod(hostAliases=[{"ip": "127.0.0.1", "hostnames": ["db"]}]),),
        (pod(hostNetwork=True), pod(hostPID=True), pod(hostIPC=True)),
    ),
    Case(
        pods.EPHEMERAL_CONTAINERS,
        "spec.template.spec",
        (pod(initContainers=[{"name": "warm-up", "image": "example/warm-up:1", "command": ["true"]}]),),
        (pod(ephemeralContainers=[{"name": "debug"}]),),
    ),
    Case(
        pods.HOST_PATH,
        "spec.template.spec.volumes[0]",
        (volume(emptyDir={}), volume(configMap={"name": "settings"})),
        (volume(hostPath={"path": "/"}),),
    ),
    Case(
        pods.SERVICE_ACCOUNT_TOKEN,
        "spec.template.spec.volumes[0].projected.sources[0]",
        (volume(projected={"sources": [{"configMap": {"name": "settings"}}]}),),
        (volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),),
    ),
    Case(
        pods.OUR_VOLUME,
        "spec.template.spec.volumes[0]",
        (volume(emptyDir={}),),
        (volume(name="mtls", emptyDir={}),),
    ),
    Case(
        pods.SERVER_COMMAND,
        "spec.template.spec.containers[0]",
        (
            container(
                name="server", env=[{"name": "LOG_LEVEL", "value": "debug"}], resources={"limits": {"cpu": 1}}
            ),
            container(command=["sleep"], args=["1d"]),
        ),
        (container(name="server", command=["sh"]), container(name="server", args=["--no-tls"])),
    ),
    Case(
        pods.PRIVILEGED,
        "spec.template.spec.containers[0].securityContext",
        (container(securityContext={"privileged": False, "runAsUser": 1000}),),
        (container(securityContext={"privileged": True}),),
    ),
    Case(
        pods.CAPABILITIES,
        "spec.template.spec.containers[0].securityContext.capabilities",
        (container(securityContext={"capabilities": {"drop": ["ALL"]}}),),
        (container(securityContext={"capabilities": {"add": ["NET_ADMIN"]}}),),
    ),
    *(
        Case(
            values.AUTHORITY_SECRET,
            f"spec.template.spec.{field}",
            (reading("our-authority"), reading("orders")),
            (reading("authority-0c5ab6a5"),),
        )
        for field, reading in READERS.items()
    ),
]
