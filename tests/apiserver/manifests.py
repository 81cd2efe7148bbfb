"""Objects like those that the operator writes, and like those of others."""

from mtls_operator.reconcile.ports import Object

OURS = {"app.kubernetes.io/managed-by": "mtls-operator", "mtls-operator.io/service-uid": "7c1f5b7e"}
OWNER = {
    "apiVersion": "mtls-operator.io/v1alpha1",
    "kind": "MTLSService",
    "name": "orders",
    "uid": "7c1f5b7e",
}
AUTHORITY = {**OURS, "mtls-operator.io/component": "authority"}
TLS = {"tls.crt": "", "tls.key": ""}


def obj(api_version: str, kind: str, namespace: str, contents: Object, **metadata: object) -> Object:
    labelled = {"labels": OURS} | metadata
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "orders", "namespace": namespace, **labelled},
        **contents,
    }


def secret(namespace: str, *, kind: str = "kubernetes.io/tls", **metadata: object) -> Object:
    return obj("v1", "Secret", namespace, {"type": kind, "data": TLS}, **metadata)


def pod(namespace: str, **metadata: object) -> Object:
    spec = {"containers": [{"name": "server", "image": "server:1"}], "automountServiceAccountToken": False}
    return obj("v1", "Pod", namespace, {"spec": spec}, **metadata)


def deployment(namespace: str, pod_spec: Object | None = None, **metadata: object) -> Object:
    spec = {
        "serviceAccountName": "orders",
        "automountServiceAccountToken": False,
        "containers": [{"name": "server", "image": "server:1"}],
    } | (pod_spec or {})
    labels = {"app": "orders"}
    contents = {
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        }
    }
    return obj("apps/v1", "Deployment", namespace, contents, **metadata)


def service_account(namespace: str, **metadata: object) -> Object:
    return obj("v1", "ServiceAccount", namespace, {}, **metadata)


def service(namespace: str, **metadata: object) -> Object:
    return obj("v1", "Service", namespace, {"spec": {"ports": [{"port": 8443}]}}, **metadata)


def disruption_budget(namespace: str, **metadata: object) -> Object:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "orders"}}}
    return obj("policy/v1", "PodDisruptionBudget", namespace, {"spec": spec}, **metadata)


def network_policy(namespace: str, **metadata: object) -> Object:
    return obj("networking.k8s.io/v1", "NetworkPolicy", namespace, {"spec": {"podSelector": {}}}, **metadata)


def stateful_set(namespace: str, **metadata: object) -> Object:
    return _pods_of("StatefulSet", namespace, {"serviceName": "orders"}, **metadata)


def daemon_set(namespace: str, **metadata: object) -> Object:
    return _pods_of("DaemonSet", namespace, {}, **metadata)


def _pods_of(kind: str, namespace: str, spec: Object, **metadata: object) -> Object:
    contents = {"spec": deployment(namespace)["spec"] | spec}
    return obj("apps/v1", kind, namespace, contents, **metadata)
