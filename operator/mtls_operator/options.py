"""The command line of the operator."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from mtls_operator.api import durations
from mtls_operator.api.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    settings: Settings
    admin_port: int
    log_format: Literal["json", "text"]
    log_level: str


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; what is wrong with it is said in a sentence, with exit status 2."""
    given = _parser().parse_args(arguments)
    settings = Settings(
        namespace=given.namespace,
        instance=given.instance,
        server_image=given.server_image,
        watched_namespaces=tuple(given.watch_namespace),
        cluster_domain=given.cluster_domain,
        image_pull_secrets=tuple(given.image_pull_secret),
        image_pull_policy=given.image_pull_policy,
        monitoring_namespaces=tuple(given.monitoring_namespace),
        sweep_interval=given.sweep_interval,
        sweep_grace=given.sweep_grace,
        workers=given.workers,
    )
    if settings.workers < 1:
        _parser().error(f"--workers {settings.workers} leaves nobody to reconcile; write 1 or more")
    if settings.sweep_interval < timedelta(seconds=1):
        _parser().error("--sweep-interval is too short; write 1s or more")
    if settings.namespace in settings.watched_namespaces:
        _parser().error(
            f"--watch-namespace {settings.namespace} is the operator's own, where authority keys are kept; "
            "watch others, or install the operator elsewhere"
        )
    return Options(settings, given.admin_port, given.log_format, given.log_level)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mtls-operator",
        description="Issues and rotates certificates for MTLSServices, and runs their servers.",
    )
    defaults = Settings(namespace="", server_image="")
    add = parser.add_argument
    add("--namespace", required=True, help="the operator's own namespace, where authority keys are kept")
    add("--server-image", required=True, help="image of the mTLS server")
    add("--instance", default=defaults.instance, help="name of this installation (%(default)s)")
    add("--watch-namespace", action="append", default=[], help="watch only this namespace; may be repeated")
    add("--cluster-domain", default=defaults.cluster_domain, help="DNS domain of the cluster (%(default)s)")
    add(
        "--image-pull-secret", action="append", default=[], help="pull secret of server pods; may be repeated"
    )
    add(
        "--image-pull-policy", default=defaults.image_pull_policy, choices=("Always", "IfNotPresent", "Never")
    )
    add(
        "--monitoring-namespace",
        action="append",
        default=[],
        help="may read servers' metrics; may be repeated",
    )
    add(
        "--sweep-interval",
        type=_duration,
        default=defaults.sweep_interval,
        help="between looks for orphans (1m)",
    )
    add(
        "--sweep-grace", type=_duration, default=defaults.sweep_grace, help="before an orphan is deleted (1h)"
    )
    add("--workers", type=int, default=defaults.workers, help="services reconciled at a time (%(default)s)")
    add("--admin-port", type=int, default=8080, help="for /livez, /readyz and /metrics (%(default)s)")
    add("--log-format", choices=("json", "text"), default="json")
    add("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")
    return parser


def _duration(text: str) -> timedelta:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
