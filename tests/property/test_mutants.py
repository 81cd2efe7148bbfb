"""What mutants break is there: one that finds nothing to break would prove nothing."""

import pytest

from tests.property.mutants import MUTANTS, OPERATOR, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.breaks)
def test_the_line_that_a_mutant_breaks_is_there_once(mutant: Mutant) -> None:
    text = (OPERATOR / "mtls_operator" / mutant.file).read_text()
    assert text.count(mutant.right) == 1
