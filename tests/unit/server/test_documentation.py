"""What docs/server.md says of refusals is what the server does."""

import re
from collections.abc import Iterator
from enum import StrEnum

import pytest

from mtls_server.files.faults import Fault
from mtls_server.http import gate
from mtls_server.http.reply import Reply
from mtls_server.identity import Reason
from mtls_server.tls import failures
from tests.unit.server import callers
from tests.unit.server.callers import Alert
from tests.unit.server.program import ROOT

TEXT = (ROOT / "docs" / "server.md").read_text()


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def table(head: str) -> Iterator[list[str]]:
    """Return the cells of the table whose head begins so."""
    _, _, rest = TEXT.partition(f"\n{head}")
    for line in rest.partition("\n\n")[0].splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def alerts() -> dict[str, list[str]]:
    """Reason to the alerts that belong to it, that of TLS 1.2 last."""
    rows = table("| reason | alert | the certificate |")
    return {reason: quoted(cells[1]) for cells in rows for reason in quoted(cells[0])}


def seen(outcome: Alert) -> list[str]:
    spellings = [outcome.seen, outcome.seen_in_tls_1_2]
    return [spelling.replace(" ", "_") for spelling in spellings if spelling]


@pytest.mark.parametrize("row", callers.IN_THE_HANDSHAKE, ids=lambda row: row.name)
def test_every_alert_is_told_with_its_reason(row: callers.Row) -> None:
    assert isinstance(row.outcome, Alert)
    told = alerts()[row.outcome.reason]
    assert set(seen(row.outcome)) <= set(told)


def test_no_other_reason_is_told() -> None:
    assert alerts().keys() == {
        row.outcome.reason for row in callers.IN_THE_HANDSHAKE if isinstance(row.outcome, Alert)
    }


def test_every_reason_of_ours_is_told() -> None:
    ours = {value for name, value in vars(failures).items() if name.isupper() and isinstance(value, str)}
    told = {reason for cells in table("| reason | |") for reason in quoted(cells[0])}
    assert ours <= told | alerts().keys()


@pytest.mark.parametrize(
    ("head", "codes"), [("| reason | the certificate |", Reason), ("| reason | the files |", Fault)]
)
def test_every_reason_code_is_told(head: str, codes: type[StrEnum]) -> None:
    told = {code for cells in table(head) for code in quoted(cells[0])}
    assert told <= {code.value for code in codes}
    assert [code for code in codes if code not in told and f"`{code}`" not in TEXT] == []


def test_every_refusal_of_the_gate_is_told() -> None:
    refusals = [value for value in vars(gate).values() if isinstance(value, Reply)]
    assert refusals
    assert [refusal.reason for refusal in refusals if f"`{refusal.reason}`" not in TEXT] == []
