"""Runs last: of all that was said in this run, nothing was secret."""

from pathlib import Path

import pytest

from tests.e2e.witness import Witness, overheard

pytestmark = pytest.mark.e2e


@pytest.mark.usefixtures("operator")
def test_no_key_and_no_certificate_is_in_any_log_event_status_or_annotation(witness: Witness) -> None:
    needles = witness.needles()
    assert all(overheard(secret.decode(), needles) for secret in witness.keys | witness.certificates)
    assert witness.keys
    assert witness.said

    leaks = {path: overheard(text, needles) for path, text in witness.logs()}
    leaks[Path("the API")] = [piece for text in witness.said for piece in overheard(text, needles)]

    assert {container(path) for path in leaks} >= {"operator", "server"}
    assert not any(leaks.values()), {path: found for path, found in leaks.items() if found}


def container(log: Path) -> str:
    """Return the name of the container that wrote this log: <namespace>_<pod>_<uid>/<container>/<n>.log."""
    return log.parent.name
