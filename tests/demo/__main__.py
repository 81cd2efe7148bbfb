import argparse
import shutil
import sys
from collections.abc import Callable

from tests.cluster.errors import ClusterError
from tests.demo import target as targets
from tests.demo import telling
from tests.demo.calls import PORT, curl, folder, show_callers
from tests.demo.installation import (
    CLIENT,
    IN_NAMESPACE,
    NAMESPACE,
    RELEASE,
    SERVICE,
    apply_sample,
    install_operator,
)
from tests.demo.rotation import show_rotation
from tests.demo.target import Target


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Callable[[], None] = options.run
    try:
        run()
    except ClusterError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nStopped. `make demo` takes up where this ended; `make demo-down` removes everything.\n"
        )
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description="Shows what it is and does.")
    commands = parser.add_subparsers(required=True, metavar="command")
    commands.add_parser("up", help="show everything, and leave it running").set_defaults(run=_up)
    commands.add_parser("down", help="remove what `up` left").set_defaults(run=_down)
    return parser


def _up() -> None:
    telling.heading("1. A cluster")
    target = targets.choose()
    telling.say(f"It answers: Kubernetes {target.version()}")
    telling.heading("2. The operator")
    install_operator(target)
    telling.heading(f"3. One custom resource: {SERVICE}, which lets {CLIENT} in")
    apply_sample(target)
    telling.heading(f"4. Who calls {SERVICE} …")
    show_callers(target)
    telling.heading("5. A rotation under traffic")
    show_rotation(target)
    _what_next(target)


def _what_next(target: Target) -> None:
    telling.heading("All of it stays. Try:")
    if target.kubeconfig:
        telling.say(f"  export KUBECONFIG={target.kubeconfig}")
        if not shutil.which("kubectl"):
            telling.say(f"  alias kubectl={target.programs['kubectl']}")
    telling.say(f"  kubectl {IN_NAMESPACE} describe mtls {SERVICE}")
    telling.say(f"  kubectl {IN_NAMESPACE} edit mtls {SERVICE}              # add a client, say")
    telling.say(f"  kubectl {IN_NAMESPACE} delete secret {SERVICE}-server   # and see it healed")
    telling.say(f"  kubectl {IN_NAMESPACE} port-forward service/{SERVICE} {PORT} &")
    telling.say(f"  cd {folder()} && {' '.join(curl(PORT, CLIENT))}")
    telling.heading("Remove it with: make demo-down")


def _down() -> None:
    shutil.rmtree(folder(), ignore_errors=True)
    if not targets.is_given():
        targets.remove()
        return
    targets.given().kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    telling.say(
        f"The namespace {NAMESPACE} is gone. The operator stays, since others may use it; remove it with "
        f"`helm uninstall {RELEASE} --namespace {RELEASE}`."
    )


if __name__ == "__main__":
    sys.exit(main())
