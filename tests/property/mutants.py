"""Break the operator on purpose, one line at a time, and see whether its properties notice.

``python -m tests.property.mutants`` runs them all and prints a line for each; it fails if one survives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPERATOR = ROOT / "operator"
TESTS = ("tests/property/test_issuing.py", "tests/property/trust")
SEEDS = (1, 2, 3, 4)
"""A mutant that one run does not notice gets others."""
MOST_SECONDS = 900


@dataclass(frozen=True)
class Mutant:
    """A line of the operator, and the wrong one in its place."""

    breaks: str
    file: str
    right: str
    wrong: str


MUTANTS = (
    Mutant(
        "the server authority signs before callers had time",
        "policies/rotation.py",
        "        if now >= opens:\n",
        "        if now <= opens:\n",
    ),
    Mutant(
        "the client authority signs before pods trust it",
        "policies/rotation.py",
        "    if not lagging:\n",
        "    if lagging or not lagging:\n",
    ),
    Mutant(
        "pods that were never asked count as trusting",
        "reconcile/decide/gates.py",
        "        return PodTrust(name, trusts=False, unreachable=not has_address, detail=detail)\n",
        "        return PodTrust(name, trusts=True)\n",
    ),
    Mutant(
        "pods that were not asked yet count as silent",
        "reconcile/decide/gates.py",
        "unreachable=not has_address, detail=detail)",
        "unreachable=True, detail=detail)",
    ),
    Mutant(
        "pods that answer without it count as trusting",
        "reconcile/decide/gates.py",
        "    return PodTrust(name, trusts=False, detail=detail, since=_mounted_since(pod, since))\n",
        "    return PodTrust(name, trusts=True, detail=detail)\n",
    ),
    Mutant(
        "bundles that lack the successor are no obstacle",
        "reconcile/decide/gates.py",
        "        bundles_since=None if lacking else known,\n",
        "        bundles_since=known,\n",
    ),
    Mutant(
        "the successor is left out of the bundles",
        "pki/generations.py",
        "held = [each.anchor for each in (self.signing, self.next) if each is not None]",
        "held = [each.anchor for each in (self.signing,) if each is not None]",
    ),
    Mutant(
        "the former authority is left out of the bundles",
        "pki/generations.py",
        "_by_age(held + [each.anchor for each in self.retiring])",
        "_by_age(held)",
    ),
    Mutant(
        "the former authority retires too early",
        "reconcile/decide/rotation.py",
        "min(wish.now + generations.longest + MARGIN, former.not_after)",
        "min(wish.now + MARGIN, former.not_after)",
    ),
    Mutant(
        "the longest leaf is forgotten when durations shrink",
        "reconcile/decide/authorities.py",
        "longest=max(generations.longest, longest)",
        "longest=longest",
    ),
    Mutant(
        "the former authority never retires",
        "reconcile/decide/rotation.py",
        "    if any(each.until <= wish.now for each in generations.retiring):\n",
        "    if not generations:\n",
    ),
    Mutant(
        "the key of the former authority is kept",
        "reconcile/decide/rotation.py",
        "        since=wish.now,\n        retiring=",
        "        since=wish.now,\n        next=former,\n        retiring=",
    ),
    Mutant(
        "a leaf may outlive its authority",
        "pki/leaf.py",
        "    validity = Validity.starting(now, duration).within(authority.validity)\n",
        "    validity = Validity.starting(now, duration)\n",
    ),
    Mutant(
        "a followed request is forgotten",
        "reconcile/decide/rotation.py",
        "        rotated_for=wish.request or generations.rotated_for,\n",
        "        rotated_for=generations.rotated_for,\n",
    ),
    Mutant(
        "a successor is prepared over one that is prepared already",
        "policies/rotation.py",
        "    if generations.next is not None or wish.unusable:\n",
        "    if wish.unusable:\n",
    ),
    Mutant(
        "the gate is skipped hours before the end",
        "reconcile/decide/rotation.py",
        "    if ends is None or wish.now >= ends:\n",
        "    if ends is None or wish.now >= ends - 4 * generations.longest:\n",
    ),
    Mutant(
        "where a key is lost, the successor signs at once",
        "reconcile/decide/leaves.py",
        "    return world.now >= last_moment(stored.material.leaf, wanted.duration)\n",
        "    return True\n",
    ),
    Mutant(
        "a lost authority is no longer trusted",
        "reconcile/decide/recovery.py",
        "    return replace(generations, retiring=retiring)\n",
        "    return generations\n",
    ),
    Mutant(
        "leaves of an authority that signs no more are kept for ever",
        "policies/leaf.py",
        "    wrong_authority,\n",
        "",
    ),
    Mutant(
        "revocation spares what was issued a while ago",
        "reconcile/decide/revocation.py",
        "    moment = world.now.replace(microsecond=0) + timedelta(seconds=1)\n",
        "    moment = world.now.replace(microsecond=0) - timedelta(minutes=30)\n",
    ),
    Mutant(
        "the ledger forgets at once",
        "reconcile/decide/revocation.py",
        "if uri in refused or world.now < _ends(keyring, at)}",
        "if uri in refused}",
    ),
    Mutant(
        "a new leaf is backdated beyond its revocation",
        "reconcile/decide/leaves.py",
        "not_before=wanted.not_before\n    )",
        "not_before=None\n    )",
    ),
    Mutant(
        "the server is told of the signing authority only",
        "reconcile/decide/wanted.py",
        "[spki_digest(anchor) for anchor in keyring.client.anchors]",
        "[spki_digest(anchor) for anchor in keyring.client.anchors[-1:]]",
    ),
    Mutant(
        "the age of a bundle is not renewed with its anchors",
        "reconcile/decide/leaf_secrets.py",
        "    if stored is None or not stored.anchors >= set(decode_anchors(wanted.anchors)):\n",
        "    if stored is None:\n",
    ),
)


def main() -> int:
    names = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not names or any(name in mutant.breaks for name in names)]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        caught = list(workers.map(_is_caught, chosen))
    survivors = [mutant for mutant, seen in zip(chosen, caught, strict=True) if not seen]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught")
    return 1 if survivors else 0


def _is_caught(mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "operator"
        shutil.copytree(OPERATOR, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        file = source / "mtls_operator" / mutant.file
        text = file.read_text()
        if text.count(mutant.right) != 1:
            print(f"STALE     {mutant.breaks}: {mutant.file} does not have that line once", flush=True)
            return False
        file.write_text(text.replace(mutant.right, mutant.wrong))
        for seed in SEEDS:
            why = _failure(source, seed)
            if why:
                print(f"caught    {mutant.breaks}: {why}", flush=True)
                return True
    print(f"SURVIVED  {mutant.breaks}", flush=True)
    return False


def _failure(source: Path, seed: int) -> str:
    """Return what the properties say, or nothing when they hold."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", *TESTS]
    command += ["--hypothesis-profile=default", f"--hypothesis-seed={seed}"]
    command += ["-p", "no:cacheprovider", "-o", f"pythonpath={source} ."]
    storage = {"HYPOTHESIS_STORAGE_DIRECTORY": str(source.parent / "hypothesis")}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | storage,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return ""
    said = [line[1:].strip() for line in done.stdout.splitlines() if line.startswith("E  ")]
    return next((line for line in said if "Error" in line), (said or ["it failed"])[0])[:160]


if __name__ == "__main__":
    sys.exit(main())
