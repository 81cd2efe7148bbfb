"""Quantities of resources, which the API server spells its own way."""

import re
from decimal import Decimal, InvalidOperation
from typing import Final

_FORM: Final = re.compile(r"([+-]?[0-9.]{1,40})([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(value: object) -> Decimal | None:
    """Return the amount that a quantity such as `100m`, `64Mi` or 2 stands for; None where it is none."""
    form = _FORM.fullmatch(str(value))
    if form is None:
        return None
    number, suffix = form[1], form[2] or ""
    try:
        if suffix in _BINARY:
            return Decimal(number) * Decimal(1024) ** _BINARY[suffix]
        if suffix in _DECIMAL:
            return Decimal(number).scaleb(_DECIMAL[suffix])
        return Decimal(number + suffix)
    except InvalidOperation:
        return None
