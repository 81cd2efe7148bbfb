"""Names that are part of the API: group, labels, annotations, Secret names, identities."""

import re
from typing import Final

GROUP: Final = "mtls-operator.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "MTLSService"
PLURAL: Final = "mtlsservices"
CLIENT_KIND: Final = "MTLSClient"
CLIENT_PLURAL: Final = "mtlsclients"
FIELD_MANAGER: Final = "mtls-operator"

LABEL_USE: Final = f"{GROUP}/use"
"""On every Secret and ConfigMap that the operator may look at; its existence selects all watched ones."""
USE_OWNED: Final = "owned"
"""Ours. The others are the user's consent to a reference, and never written to."""
USE_AUTHORITY: Final = "authority"
"""A CA of the user's own, for ``authority.*.secretRef``."""
USE_TRUST: Final = "trust"
"""Further CAs, for ``trust``."""
USE_PASSWORD: Final = "password"  # noqa: S105 - the value of a label
"""A password, for ``passwordSecretRef``."""
LABEL_COMPONENT: Final = f"{GROUP}/component"
"""``authority``, ``server`` or ``client``."""
AUTHORITY: Final = "authority"
LABEL_SERVICE_UID: Final = f"{GROUP}/service-uid"
LABEL_SERVICE: Final = f"{GROUP}/service"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "mtls-operator"

ANNOTATION_REISSUE: Final = f"{GROUP}/reissue"
"""Set by a person on the MTLSService; copied to each leaf Secret issued under it."""
ANNOTATION_ROTATE_AUTHORITY: Final = f"{GROUP}/rotate-authority"
"""Set by a person: any new value rotates both authorities; ``distrust/<value>`` at once."""
ANNOTATION_PAUSED: Final = f"{GROUP}/paused"
"""Set by a person: ``"true"`` stops all writes for the object but its status and Events."""
ANNOTATION_ALLOW_SHORT_LIVED: Final = f"{GROUP}/allow-short-lived"
ANNOTATION_DURATION: Final = f"{GROUP}/duration"
"""On a leaf Secret: the duration that was asked for, in seconds."""
ANNOTATION_SERIAL: Final = f"{GROUP}/serial"
ANNOTATION_NOT_BEFORE: Final = f"{GROUP}/not-before"
ANNOTATION_NOT_AFTER: Final = f"{GROUP}/not-after"
ANNOTATION_RENEWAL_TIME: Final = f"{GROUP}/renewal-time"
ANNOTATION_REASON: Final = f"{GROUP}/reason"
"""On a leaf Secret: why it was last issued."""
ANNOTATION_TRUST_SINCE: Final = f"{GROUP}/trust-since"
"""On a client Secret: when the newest trust anchor was added to its ``ca.crt``."""
ANNOTATION_STORES: Final = f"{GROUP}/stores"
"""On a client Secret: keyed digest by which its PKCS#12 stores are known to be as wanted."""
ANNOTATION_INSTANCE: Final = f"{GROUP}/instance"
ANNOTATION_OWNER: Final = f"{GROUP}/owner"
"""On an authority Secret: ``<namespace>/<name>`` of the MTLSService."""
ANNOTATION_ORPHANED_SINCE: Final = f"{GROUP}/orphaned-since"
ANNOTATION_DELIVERY: Final = f"{GROUP}/delivery"
"""On a pod: digest of the newest delivery, written so that kubelet syncs its volumes at once."""
ANNOTATION_RESTARTED_FOR: Final = f"{GROUP}/restarted-for"
"""On the pod template of a workload of ``restart``: what it was last rolled for, and all we write there."""
ANNOTATION_DESIRED: Final = f"{GROUP}/desired"
"""On what is applied: digest of what was wanted, by which a field that is no longer wanted is noticed."""


AUTHORITY_PREFIX: Final = "authority-"
_LABEL: Final = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_NAMESPACE: Final = rf"spiffe://[-_.a-z0-9]{{1,253}}/ns/(?P<namespace>{_LABEL})"
_MTLSCLIENT_URI: Final = re.compile(rf"{_NAMESPACE}/mtlsclient/(?P<name>{_LABEL})")
_CLIENT_URI: Final = re.compile(rf"{_NAMESPACE}/(mtlsclient|mtlsservice/{_LABEL}/client)/{_LABEL}")


def authority_secret(uid: str) -> str:
    """Name the Secret that holds both authorities of the service with this UID."""
    return f"{AUTHORITY_PREFIX}{uid}"


def server_secret(service: str) -> str:
    """Name the Secret that the server mounts."""
    return f"{service}-server"


def client_secret(service: str, client: str) -> str:
    """Name the Secret of one client in the service's own namespace."""
    return f"{service}-client-{client}"


def client_uri(trust_domain: str, namespace: str, service: str, client: str) -> str:
    """Return the identity of a client: the one URI SAN of its certificates."""
    return f"spiffe://{trust_domain}/ns/{namespace}/mtlsservice/{service}/client/{client}"


def mtlsclient_uri(trust_domain: str, namespace: str, name: str) -> str:
    """Return the identity of an MTLSClient: the one URI SAN of its certificates."""
    return f"spiffe://{trust_domain}/ns/{namespace}/mtlsclient/{name}"


def is_client(uri: str) -> bool:
    """Tell whether an identity can be one that we issue certificates for."""
    return _CLIENT_URI.fullmatch(uri) is not None


def mtlsclient_of(uri: str) -> tuple[str, str] | None:
    """Return namespace and name of the MTLSClient that an identity stands for; None: it stands for none."""
    found = _MTLSCLIENT_URI.fullmatch(uri)
    return (found["namespace"], found["name"]) if found else None


def server_dns_names(service: str, namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """Return the DNS names by which the Service is reached inside the cluster, shortest first."""
    qualified = f"{service}.{namespace}"
    return service, qualified, f"{qualified}.svc", f"{qualified}.svc.{cluster_domain}"
