import argparse
import sys
from collections.abc import Callable

from tests.cluster import control_plane, layout, lifecycle
from tests.cluster.errors import ClusterError

Command = Callable[[argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    command: Command = options.run
    try:
        return command(options)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster", description="A real Kubernetes for tests."
    )
    parser.add_argument(
        "--name", default=layout.default_name(), help="which cluster (MTLS_CLUSTER, else mtls)"
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    up = commands.add_parser("up", help="start what does not run")
    up.add_argument("--control-plane-only", action="store_true", help="no node: pods stay pending")
    up.set_defaults(run=_up)

    simple: dict[str, tuple[str, Command]] = {
        "down": ("stop and remove it", _down),
        "kubeconfig": ("print the path of its kubeconfig", _kubeconfig),
        "restart-apiserver": ("stop and start the API server alone", _restart_apiserver),
    }
    for name, (text, run) in simple.items():
        commands.add_parser(name, help=text).set_defaults(run=run)
    return parser


def _up(options: argparse.Namespace) -> int:
    cluster = lifecycle.up(options.name, node=not options.control_plane_only)
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(options: argparse.Namespace) -> int:
    lifecycle.down(options.name)
    return 0


def _kubeconfig(options: argparse.Namespace) -> int:
    print(lifecycle.running(options.name).kubeconfig)
    return 0


def _restart_apiserver(options: argparse.Namespace) -> int:
    cluster = lifecycle.running(options.name)
    control_plane.stop_apiserver(cluster)
    control_plane.start_apiserver(cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
