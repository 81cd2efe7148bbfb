"""Search for inputs on which the server breaks its word: ``python -m tests.fuzz paths --seconds 600``.

Needs atheris (``requirements.txt``). New inputs, and one that breaks something, are kept in ``build/fuzz``;
``--merge`` takes what of them covers more into the committed corpus.
"""

import argparse
import importlib
import sys
from functools import partial
from pathlib import Path

import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

from tests.fuzz import CORPUS, TARGETS
from tests.fuzz.target import Mutate, Target

FOUND = Path(__file__).parents[2] / "build" / "fuzz"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600, help="how long to search")
    parser.add_argument("--merge", action="store_true", help="take what was found into the corpus")
    parser.add_argument("options", nargs="*", help="instead, after --: of libFuzzer, such as a file to run")
    arguments = parser.parse_args()
    with atheris.instrument_imports(include=["mtls_server", "mtls_operator"]):
        target: Target = importlib.import_module(f"tests.fuzz.targets.{arguments.target}").TARGET
    corpus, found = CORPUS / arguments.target, FOUND / arguments.target
    for directory in (corpus, found):
        directory.mkdir(parents=True, exist_ok=True)
    options = arguments.options
    if not options:
        options = [f"-max_len={target.max_bytes}", "-timeout=10", "-rss_limit_mb=1024"]
        options += (
            merging(corpus, found) if arguments.merge else searching(target, arguments.seconds, corpus, found)
        )
    mutator = {} if target.mutate is None else {"custom_mutator": partial(mutated, target.mutate)}
    itself = f"{sys.executable} -m tests.fuzz {arguments.target} --"  # which libFuzzer runs again to merge
    atheris.Setup([itself, *options], target.check, **mutator)
    atheris.Fuzz()


def merging(corpus: Path, found: Path) -> list[str]:
    return ["-merge=1", str(corpus), str(found)]


def searching(target: Target, seconds: int, corpus: Path, found: Path) -> list[str]:
    for number, seed in enumerate(target.seeds):
        (found / f"seed-{number}").write_bytes(seed)
    words = found.with_suffix(".dict")
    words.write_text("".join(f'"{quoted(word)}"\n' for word in target.words))
    # Parsers in C and Rust are not instrumented, so an input is worth keeping for more than its coverage.
    options = ["-keep_seed=1", "-reduce_inputs=0", f"-max_total_time={seconds}", f"-dict={words}"]
    return [*options, "-print_final_stats=1", f"-artifact_prefix={found}-", str(found), str(corpus)]


def quoted(word: bytes) -> str:
    """Write a word as libFuzzer's dictionaries have it."""
    return "".join(f"\\x{octet:02x}" for octet in word)


def mutated(mutate: Mutate, data: bytes, max_size: int, seed: int) -> bytes:
    """Change what an input means, or now and then its octets."""
    return mutate(data, max_size, seed) if seed % 8 else atheris.Mutate(data, max_size)


main()
