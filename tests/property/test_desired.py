from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mtls_operator.desired.drift import differs
from mtls_operator.desired.merge import merge
from mtls_operator.desired.quantity import quantity

Object = dict[str, Any]

SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b"]))
NAMES = st.sampled_from(["a", "b", "c"])
FIELDS = st.dictionaries(
    st.sampled_from(["x", "y", "command"]), st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
)


def list_maps(key: str, items: st.SearchStrategy[Object]) -> st.SearchStrategy[list[Object]]:
    named = st.builds(lambda name, item: {key: name, **item}, NAMES, items)
    return st.lists(named, max_size=3, unique_by=lambda item: item[key])


CONTAINERS = st.fixed_dictionaries(
    {}, optional={"env": list_maps("name", FIELDS), "volumeMounts": list_maps("mountPath", FIELDS)}
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "containers": list_maps("name", CONTAINERS),
        "volumes": list_maps("name", FIELDS),
        "own": FIELDS,
    },
)
TEMPLATES = st.fixed_dictionaries({}, optional={"metadata": FIELDS, "spec": SPECS})


@given(TEMPLATES)
def test_an_empty_patch_changes_nothing(base: Object) -> None:
    assert merge(base, {}) == base


@given(TEMPLATES)
def test_a_patch_of_nothing_is_the_patch(patch: Object) -> None:
    assert merge({}, patch) == patch


@given(TEMPLATES, TEMPLATES)
def test_a_patch_holds_once_it_is_applied(base: Object, patch: Object) -> None:
    assert not differs(patch, merge(base, patch))


@given(TEMPLATES, TEMPLATES)
def test_a_second_application_changes_nothing(base: Object, patch: Object) -> None:
    once = merge(base, patch)

    assert merge(once, patch) == once


@given(TEMPLATES, TEMPLATES, TEMPLATES)
def test_patches_can_be_merged_first(base: Object, first: Object, second: Object) -> None:
    assert merge(merge(base, first), second) == merge(base, merge(first, second))


@given(TEMPLATES, TEMPLATES)
def test_no_argument_is_changed(base: Object, patch: Object) -> None:
    before = deepcopy((base, patch))

    merge(base, patch)

    assert (base, patch) == before


@given(st.integers(0, 10**6), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "e3"]))
def test_a_quantity_has_one_amount_however_it_is_spelled(number: int, suffix: str) -> None:
    assert quantity(f"{number}{suffix}") == quantity(f"{number}.0{suffix}")
