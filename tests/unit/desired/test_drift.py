from copy import deepcopy

import pytest
import yaml

from mtls_operator.desired.drift import differs, recorded
from mtls_operator.desired.workload import workload
from tests.unit.desired.alterations import altered, cropped
from tests.unit.desired.builders import SETTINGS, Object, service

TEMPLATE = {"spec": {"containers": [{"name": "server", "env": [{"name": "A", "value": "x"}, {"name": "B"}]}]}}
OBJECTS = workload(service(template=TEMPLATE, service={"annotations": {"example.org/a": "b"}}), SETTINGS)
EACH_OBJECT = pytest.mark.parametrize("desired", OBJECTS, ids=[desired["kind"] for desired in OBJECTS])
CERTAIN = {("apiVersion",), ("kind",)}
"""Fields that no live object of that resource can have otherwise."""


def object_of(yaml_text: str) -> Object:
    parsed: Object = yaml.safe_load(yaml_text)
    return parsed


@EACH_OBJECT
def test_an_object_as_it_was_wanted_does_not_differ(desired: Object) -> None:
    assert not differs(desired, deepcopy(desired))


@EACH_OBJECT
def test_an_alteration_anywhere_is_noticed(desired: Object) -> None:
    unnoticed = [
        path for path, live in altered(desired) if path not in CERTAIN and not differs(desired, live)
    ]

    assert unnoticed == []


@EACH_OBJECT
def test_a_removal_anywhere_is_noticed(desired: Object) -> None:
    unnoticed = [
        path for path, live in cropped(desired) if path not in CERTAIN and not differs(desired, live)
    ]

    assert unnoticed == []


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        pytest.param("{a: 1}", "{a: 1, status: {}, metadata: {uid: x}}", id="fields of the API server"),
        pytest.param(
            "{metadata: {labels: {a: b}}}", "{metadata: {labels: {a: b, c: d}}}", id="labels of others"
        ),
        pytest.param(
            "{spec: {containers: [{name: a}, {name: b}]}}",
            "{spec: {containers: [{name: injected}, {name: b}, {name: a, terminationMessagePath: x}]}}",
            id="containers of others, in any order",
        ),
        pytest.param(
            "{spec: {ports: [{port: 1}]}}", "{spec: {ports: [{port: 1, protocol: TCP}]}}", id="protocol"
        ),
        pytest.param(
            "{resources: {limits: {cpu: '0.1', memory: 1024Mi}}}",
            "{resources: {limits: {cpu: 100m, memory: 1Gi}}}",
            id="another spelling of a quantity",
        ),
        pytest.param(
            "{emptyDir: {sizeLimit: 1024Mi}}", "{emptyDir: {sizeLimit: 1Gi}}", id="size of a volume"
        ),
        pytest.param(
            "{spec: {containers: [{name: a, tty: false, env: [{name: A, value: ''}], args: []}]}}",
            "{spec: {containers: [{name: a, env: [{name: A}]}]}}",
            id="empty fields that the API server leaves out",
        ),
        pytest.param("{spec: {nodeSelector: {}, affinity: null}}", "{spec: {}}", id="empty objects"),
    ],
)
def test_no_difference(desired: str, live: str) -> None:
    assert not differs(object_of(desired), object_of(live))


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        pytest.param("{spec: {args: [a, b]}}", "{spec: {args: [b, a]}}", id="order of an atomic list"),
        pytest.param("{spec: {args: [a]}}", "{spec: {args: [a, b]}}", id="an item more in an atomic list"),
        pytest.param(
            "{spec: {ingress: [{ports: [{port: 1}]}]}}",
            "{spec: {ingress: [{ports: [{port: 1}, {port: 2}]}]}}",
            id="a port more in a NetworkPolicy",
        ),
        pytest.param("{spec: {env: x}}", "{spec: {env: 'x '}}", id="a string"),
        pytest.param("{limits: {cpu: 100m}}", "{limits: {cpu: 101m}}", id="a quantity"),
        pytest.param(
            "{volume: {emptyDir: {}}}", "{volume: {configMap: {}}}", id="another source of a volume"
        ),
        pytest.param("{peer: {namespaceSelector: {}}}", "{peer: {}}", id="an empty selector is not none"),
        pytest.param(
            "{automountServiceAccountToken: false}", "{}", id="what is true by default when it is absent"
        ),
        pytest.param("{labels: {a: ''}}", "{labels: {}}", id="a label without a value"),
        pytest.param("{a: {b: 1}}", "{a: [1]}", id="another type"),
    ],
)
def test_a_difference(desired: str, live: str) -> None:
    assert differs(object_of(desired), object_of(live))


def test_a_field_that_is_no_longer_wanted_is_noticed() -> None:
    before = recorded({"spec": {"a": 1, "b": 2}})
    now = recorded({"spec": {"a": 1}})

    assert differs(now, before)


def test_the_digest_depends_on_what_is_wanted_and_not_on_the_order_of_fields() -> None:
    assert recorded({"a": 1, "b": 2}) == recorded({"b": 2, "a": 1})
