"""What the layout of the source tree must never become."""

import collections
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_source_root_is_no_package() -> None:
    """As a package, `operator` would shadow the module that the standard library imports everywhere."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert collections.OrderedDict.__module__ == "collections"


def test_python_runs_from_the_root_of_the_tree() -> None:
    code = (
        "import operator, mtls_operator, mtls_server; print(operator.__name__, operator.itemgetter(0)('x'))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "operator x\n"


def test_the_server_needs_nothing_of_kubernetes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    server = project["dependencies"] + project["optional-dependencies"]["server"]
    assert not [
        requirement for requirement in server if requirement.startswith(("kopf", "kubernetes", "pykube"))
    ]
    locked = (ROOT / "requirements" / "server.txt").read_text()
    assert not [
        line for line in locked.splitlines() if line.startswith(("kopf", "kubernetes", "pykube", "aiohttp"))
    ]


def test_the_server_imports_nothing_of_the_operator() -> None:
    code = "import sys, mtls_server.contract; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"mtls_operator", "kopf", "kubernetes", "aiohttp", "pydantic"} & set(ran.stdout.split("'"))
