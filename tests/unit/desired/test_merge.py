from copy import deepcopy

import pytest
import yaml

from mtls_operator.desired.merge import merge


def merged(base: str, patch: str) -> object:
    return merge(yaml.safe_load(base), yaml.safe_load(patch))


@pytest.mark.parametrize(
    ("base", "patch", "expected"),
    [
        pytest.param("{a: 1, b: 2}", "{b: 3, c: 4}", "{a: 1, b: 3, c: 4}", id="scalars are replaced"),
        pytest.param("{a: {b: 1}}", "{a: {c: 2}}", "{a: {b: 1, c: 2}}", id="objects are merged"),
        pytest.param("{a: 1, b: 2}", "{a: null}", "{b: 2}", id="null removes a field"),
        pytest.param("{}", "{a: {b: null, c: 1}}", "{a: {c: 1}}", id="null in a new object is no field"),
        pytest.param("{a: 1}", "{a: {b: 1}}", "{a: {b: 1}}", id="an object replaces a scalar"),
        pytest.param(
            "{spec: {tolerations: [{key: a}]}}",
            "{spec: {tolerations: [{key: b}]}}",
            "{spec: {tolerations: [{key: b}]}}",
            id="an atomic list is replaced",
        ),
        pytest.param(
            "{spec: {containers: [{name: server, image: a}]}}",
            "{spec: {containers: [{name: server, tty: true}, {name: sidecar, image: b}]}}",
            "{spec: {containers: [{name: server, image: a, tty: true}, {name: sidecar, image: b}]}}",
            id="containers are merged by name, new ones last",
        ),
        pytest.param(
            "{spec: {containers: [{name: server, env: [{name: A, value: x}]}]}}",
            "{spec: {containers: [{name: server, env: [{name: B, value: y}, {name: A, value: z}]}]}}",
            "{spec: {containers: [{name: server, env: [{name: A, value: z}, {name: B, value: y}]}]}}",
            id="env is merged by name",
        ),
        pytest.param(
            "{spec: {containers: [{name: server, ports: [{containerPort: 53, name: dns}]}]}}",
            "{spec: {containers: [{name: server, ports: [{containerPort: 53, protocol: UDP}]}]}}",
            "{spec: {containers: [{name: server, ports: [{containerPort: 53, name: dns}, "
            "{containerPort: 53, protocol: UDP}]}]}}",
            id="ports of different protocols are different",
        ),
        pytest.param(
            "{spec: {containers: [{name: server, ports: [{containerPort: 53, name: dns}]}]}}",
            "{spec: {containers: [{name: server, ports: [{containerPort: 53, protocol: TCP, hostIP: x}]}]}}",
            "{spec: {containers: [{name: server, ports: "
            "[{containerPort: 53, name: dns, protocol: TCP, hostIP: x}]}]}}",
            id="TCP is the protocol of a port that names none",
        ),
        pytest.param(
            "{spec: {containers: [{name: server, volumeMounts: [{mountPath: /a, name: x}]}]}}",
            "{spec: {containers: [{name: server, volumeMounts: [{mountPath: /b, name: x}]}]}}",
            "{spec: {containers: [{name: server, volumeMounts: [{mountPath: /a, name: x}, "
            "{mountPath: /b, name: x}]}]}}",
            id="mounts are merged by path",
        ),
        pytest.param(
            "{spec: {volumes: [{name: tmp, emptyDir: {}}]}}",
            "{spec: {volumes: [{name: tmp, emptyDir: null, ephemeral: {}}]}}",
            "{spec: {volumes: [{name: tmp, ephemeral: {}}]}}",
            id="a volume's source is exchanged by removing the old one",
        ),
        pytest.param(
            "{spec: {containers: [{name: server}]}}",
            "{spec: {containers: [nonsense]}}",
            "{spec: {containers: [nonsense]}}",
            id="what is no list of objects is left for the API server to refuse",
        ),
    ],
)
def test_merge(base: str, patch: str, expected: str) -> None:
    assert merged(base, patch) == yaml.safe_load(expected)


def test_merge_changes_neither_argument() -> None:
    base = {"spec": {"containers": [{"name": "server", "env": [{"name": "A", "value": "x"}]}]}}
    patch = {"spec": {"containers": [{"name": "server", "env": [{"name": "A", "value": None}]}]}}
    before = deepcopy((base, patch))

    merge(base, patch)

    assert (base, patch) == before


def test_items_without_a_simple_key_make_a_list_atomic_so_that_the_api_server_says_what_is_wrong() -> None:
    odd = {"containers": [{"name": "server", "ports": [{"containerPort": {"a": 1}}]}]}
    assert merge({"containers": [{"name": "server", "ports": [{"containerPort": 1}]}]}, odd) == odd
