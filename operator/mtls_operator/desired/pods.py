"""The pods of the server: what they run, how they are kept, and what a user's template may not change."""

from typing import Any, Final

from mtls_operator.api import names
from mtls_operator.api.durations import seconds
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService, MTLSServiceSpec, UpstreamBackend
from mtls_server.contract import ADMIN_PORT

from .merge import merge
from .metadata import labels, selector

CONTAINER: Final = "server"
MTLS_PORT: Final = "mtls"
ADMIN_PORT_NAME: Final = "admin"
MATERIAL_VOLUME: Final = "mtls"
MATERIAL_DIRECTORY: Final = "/etc/mtls"
MATERIAL_MOUNT: Final = {"name": MATERIAL_VOLUME, "mountPath": MATERIAL_DIRECTORY, "readOnly": True}
SCRATCH_VOLUME: Final = "tmp"
"""The root file system is read-only; applications find a place for their temporary files here."""

GRACE_SECONDS: Final = 30


def pod_template(service: MTLSService, settings: Settings, restarted_for: str = "") -> dict[str, Any]:
    """Build the PodTemplateSpec: ours, with the user's partial one merged over it.

    Args:
        service: whose pods they are.
        settings: what all pods have in common.
        restarted_for: what they were last replaced for; another value replaces them.
    """
    ours, partial = _generated(service, settings), service.spec.template
    template = merge(merge(ours, partial), _guard(service))
    if not restarted_for:
        return template
    return merge(template, {"metadata": {"annotations": {names.ANNOTATION_RESTARTED_FOR: restarted_for}}})


def _generated(service: MTLSService, settings: Settings) -> dict[str, Any]:
    return {
        "metadata": {
            "labels": labels(service, "server"),
            "annotations": {"kubectl.kubernetes.io/default-container": CONTAINER},
        },
        "spec": {
            "serviceAccountName": service.metadata.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            # No user, group or fsGroup is fixed: OpenShift chooses them.
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "topologySpreadConstraints": [
                _spread(service, "topology.kubernetes.io/zone"),
                _spread(service, "kubernetes.io/hostname"),
            ],
            "containers": [_container(service.spec, settings)],
            "volumes": [
                {"name": MATERIAL_VOLUME, "secret": _material(service)},
                {"name": SCRATCH_VOLUME, "emptyDir": {"sizeLimit": "64Mi"}},
            ],
        }
        | _image_pull_secrets(settings),
    }


def _material(service: MTLSService) -> dict[str, Any]:
    # The pod's user is not fixed, and restricted-v2 allows no fsGroup: so everybody in the pod may read.
    return {"secretName": names.server_secret(service.metadata.name), "defaultMode": 0o444}


def _image_pull_secrets(settings: Settings) -> dict[str, Any]:
    if not settings.image_pull_secrets:
        return {}
    return {"imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets]}


def _spread(service: MTLSService, topology_key: str) -> dict[str, Any]:
    return {
        "topologyKey": topology_key,
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(service)},
    }


def _container(spec: MTLSServiceSpec, settings: Settings) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": spec.image or settings.server_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": _arguments(spec),
        "ports": [
            {"name": MTLS_PORT, "containerPort": spec.port, "protocol": "TCP"},
            {"name": ADMIN_PORT_NAME, "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "startupProbe": _probe("/livez", periodSeconds=1, failureThreshold=60),
        "livenessProbe": _probe("/livez", periodSeconds=10, failureThreshold=3),
        "readinessProbe": _probe("/readyz", periodSeconds=5, failureThreshold=2),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            MATERIAL_MOUNT,
            {"name": SCRATCH_VOLUME, "mountPath": "/tmp"},  # noqa: S108 - a path in the container
        ],
    }


def _arguments(spec: MTLSServiceSpec) -> list[str]:
    return [
        *("--dir", MATERIAL_DIRECTORY),
        *("--port", str(spec.port)),
        *("--admin-port", str(ADMIN_PORT)),
        *("--min-version", spec.tls.min_version),
        *(() if spec.tls.x509_strict else ("--no-x509-strict",)),
        *_backend(spec),
    ]


def _backend(spec: MTLSServiceSpec) -> tuple[str, ...]:
    backend = spec.backend_or_default
    if backend.asgi:
        return "asgi", backend.asgi.app
    if backend.wsgi:
        return "wsgi", backend.wsgi.app
    if backend.upstream:
        return "upstream", *_upstream(backend.upstream)
    return ("identity",)


def _upstream(upstream: UpstreamBackend) -> tuple[str, ...]:
    """What is not said stays the server's default."""
    timeouts = upstream.timeouts
    given = {"connect": timeouts.connect, "response": timeouts.response, "idle": timeouts.idle}
    return (
        upstream.url,
        *(f"--{name}-timeout={seconds(timeout)}" for name, timeout in given.items() if timeout is not None),
        *(("--insecure-acknowledged",) if upstream.insecure_acknowledged else ()),
    )


def _probe(path: str, **timing: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": ADMIN_PORT_NAME}, "timeoutSeconds": 3, **timing}


def _guard(service: MTLSService) -> dict[str, Any]:
    """Return the patch that sets what no `template` may change; admission refuses such a one, too."""
    return {
        "metadata": {"labels": labels(service, "server")},
        "spec": {
            "serviceAccountName": service.metadata.name,
            "serviceAccount": None,
            "automountServiceAccountToken": False,
            "hostIPC": None,
            "hostNetwork": None,
            "hostPID": None,
            "containers": [
                {
                    "name": CONTAINER,
                    "command": None,
                    "args": _arguments(service.spec),
                    "volumeMounts": [MATERIAL_MOUNT | {"subPath": None, "subPathExpr": None}],
                }
            ],
            "volumes": [
                {"name": MATERIAL_VOLUME, "secret": _material(service) | {"items": None, "optional": None}}
            ],
        },
    }
