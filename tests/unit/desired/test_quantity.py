import pytest

from mtls_operator.desired.quantity import quantity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("100m", "0.1"),
        ("1", 1),
        ("1.0", "1"),
        ("1024Mi", "1Gi"),
        ("0.5Gi", "512Mi"),
        ("1e3", "1k"),
        ("1000000n", "1m"),
        ("1500u", "1.5m"),
        (1073741824, "1Gi"),
    ],
)
def test_spellings_of_one_amount_are_equal(one: str | int, other: str | int) -> None:
    assert quantity(one) is not None
    assert quantity(one) == quantity(other)


@pytest.mark.parametrize(("one", "other"), [("100m", "100M"), ("1G", "1Gi"), ("1", "2")])
def test_different_amounts_differ(one: str, other: str) -> None:
    assert quantity(one) != quantity(other)


@pytest.mark.parametrize("value", ["", "x", "1.2.3", ".", "1Kim", None, True, {}, "1" * 500])
def test_what_is_no_quantity_has_no_amount(value: object) -> None:
    assert quantity(value) is None
