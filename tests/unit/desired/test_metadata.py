from mtls_operator.desired import metadata
from tests.unit.desired.builders import service


def test_labels_name_the_service_and_tell_what_the_object_is() -> None:
    assert metadata.labels(service(), "client") == {
        "app.kubernetes.io/name": "mtls-server",
        "app.kubernetes.io/instance": "orders",
        "app.kubernetes.io/managed-by": "mtls-operator",
        "mtls-operator.io/use": "owned",
        "mtls-operator.io/service": "orders",
        "mtls-operator.io/service-uid": "7c1f5b7e",
        "mtls-operator.io/component": "client",
    }


def test_the_selector_is_a_part_of_the_labels_that_a_new_service_of_that_name_has_too() -> None:
    selector = metadata.selector(service())

    assert selector.items() <= metadata.labels(service(), "server").items()
    assert "7c1f5b7e" not in selector.values()


def test_the_owner_is_the_controller() -> None:
    assert metadata.owner_reference(service()) == {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": "MTLSService",
        "name": "orders",
        "uid": "7c1f5b7e",
        "controller": True,
        "blockOwnerDeletion": True,
    }
