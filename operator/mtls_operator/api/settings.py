"""What the operator is told at its start."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """One instance of the operator: where it lives, what it watches, what it deploys."""

    namespace: str
    """The operator's own namespace: home of the authority Secrets, never a watched one in namespaced mode."""
    server_image: str
    instance: str = "mtls-operator"
    """Name of this installation; ``<namespace>/<instance>`` is recorded on what it owns."""
    watched_namespaces: tuple[str, ...] = ()
    """Empty: the whole cluster."""
    cluster_domain: str = "cluster.local"
    image_pull_secrets: tuple[str, ...] = ()
    image_pull_policy: str = "IfNotPresent"
    monitoring_namespaces: tuple[str, ...] = ()
    """Namespaces whose pods may read the admin port, beside the operator's own."""
    sweep_interval: timedelta = field(default=timedelta(minutes=1))
    sweep_grace: timedelta = field(default=timedelta(hours=1))
    workers: int = 10

    @property
    def identity(self) -> str:
        """Return ``<namespace>/<instance>``, unique in a cluster."""
        return f"{self.namespace}/{self.instance}"
