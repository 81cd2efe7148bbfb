import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cluster import control_plane, images, layout, lifecycle, namespaces, node
from tests.cluster.errors import ClusterError
from tests.cluster.processes import Daemon

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

    load = commands.add_parser(
        "load", help="import image archives into the node, by default the project's images"
    )
    load.add_argument("archives", nargs="*", type=Path, metavar="ARCHIVE")
    load.set_defaults(run=_load)

    execute = commands.add_parser("exec", help="run a command in the node's network")
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    execute.set_defaults(run=_exec)

    test = commands.add_parser("test-server", help="run pytest in the image of the server's tests")
    test.add_argument("words", nargs=argparse.REMAINDER, metavar="ARGUMENT")
    test.set_defaults(run=_test_server)

    simple: dict[str, tuple[str, Command]] = {
        "down": ("stop and remove it", _down),
        "kubeconfig": ("print the path of its kubeconfig", _kubeconfig),
        "status": ("tell which parts of it run", _status),
        "images": ("build the project's images and print the paths of their archives", _images),
        "restart-apiserver": ("stop and start the API server alone", _restart_apiserver),
    }
    for name, (text, run) in simple.items():
        commands.add_parser(name, help=text).set_defaults(run=run)
    return parser


def _up(options: argparse.Namespace) -> int:
    cluster = lifecycle.up(options.name, with_node=not options.control_plane_only)
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(options: argparse.Namespace) -> int:
    lifecycle.down(options.name)
    return 0


def _kubeconfig(options: argparse.Namespace) -> int:
    print(lifecycle.running(options.name).kubeconfig)
    return 0


def _status(options: argparse.Namespace) -> int:
    cluster = layout.find(options.name)
    if not cluster:
        print(f"{options.name} is not there")
        return 1
    pids = {name: Daemon(cluster, name).pid() for name in [*control_plane.DAEMONS, *node.DAEMONS]}
    for name, pid in pids.items():
        print(f"{name:26} {f'runs as process {pid}' if pid else 'does not run'}")
    return 0 if all(pids[name] for name in control_plane.DAEMONS) else 1


def _load(options: argparse.Namespace) -> int:
    node.load(lifecycle.running(options.name), *(options.archives or images.archives()))
    return 0


def _images(_: argparse.Namespace) -> int:
    for archive in images.archives():
        print(f"{archive} {archive.stat().st_size / 1e6:.0f} MB")
    return 0


def _test_server(options: argparse.Namespace) -> int:
    return images.run_server_tests(_words(options))


def _exec(options: argparse.Namespace) -> int:
    return subprocess.call([*namespaces.enter(lifecycle.running(options.name), "net"), *_words(options)])


def _words(options: argparse.Namespace) -> list[str]:
    words: list[str] = options.words
    return words[1:] if words[:1] == ["--"] else words


def _restart_apiserver(options: argparse.Namespace) -> int:
    cluster = lifecycle.running(options.name)
    control_plane.stop_apiserver(cluster)
    control_plane.start(cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
