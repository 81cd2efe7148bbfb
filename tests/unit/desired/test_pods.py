import pytest

from mtls_operator.api.settings import Settings
from mtls_operator.desired.pods import pod_template
from tests.unit.desired.builders import SETTINGS, Object, service


def pod(**spec: object) -> Object:
    result: Object = pod_template(service(**spec), SETTINGS)["spec"]
    return result


def server(**spec: object) -> Object:
    container: Object = pod(**spec)["containers"][0]
    return container


def arguments(**spec: object) -> str:
    return " ".join(server(**spec)["args"])


COMMON = "--dir /etc/mtls --port 8443 --admin-port 8081"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, f"{COMMON} --min-version 1.3 identity"),
        ({"backend": {"identity": {}}}, f"{COMMON} --min-version 1.3 identity"),
        (
            {"backend": {"asgi": {"app": "shop.orders:app"}}},
            f"{COMMON} --min-version 1.3 asgi shop.orders:app",
        ),
        (
            {"backend": {"wsgi": {"app": "shop.wsgi:application"}}},
            f"{COMMON} --min-version 1.3 wsgi shop.wsgi:application",
        ),
        (
            {"backend": {"upstream": {"url": "http://127.0.0.1:8080"}}},
            f"{COMMON} --min-version 1.3 upstream http://127.0.0.1:8080",
        ),
        (
            {
                "backend": {
                    "upstream": {
                        "url": "http://orders.shop:80",
                        "timeouts": {"connect": "2s", "response": "1m30s"},
                        "insecureAcknowledged": True,
                    }
                }
            },
            (
                f"{COMMON} --min-version 1.3 upstream http://orders.shop:80 --connect-timeout=2"
                " --response-timeout=90 --insecure-acknowledged"
            ),
        ),
        (
            {"tls": {"minVersion": "1.2", "x509Strict": False}},
            f"{COMMON} --min-version 1.2 --no-x509-strict identity",
        ),
        (
            {"port": 9443},
            "--dir /etc/mtls --port 9443 --admin-port 8081 --min-version 1.3 identity",
        ),
    ],
)
def test_the_server_is_told_by_arguments_what_to_do(spec: Object, expected: str) -> None:
    assert arguments(**spec) == expected


def test_the_image_is_the_releases_own_or_the_users() -> None:
    assert server()["image"] == SETTINGS.server_image
    assert server(image="registry.example/orders:7")["image"] == "registry.example/orders:7"


def test_images_are_pulled_as_the_installation_says() -> None:
    settings = Settings(
        namespace="mtls-system",
        server_image="server:1",
        image_pull_secrets=("registry",),
        image_pull_policy="Always",
    )
    spec = pod_template(service(), settings)["spec"]

    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["containers"][0]["imagePullPolicy"] == "Always"


def test_no_user_or_group_is_fixed_so_that_openshift_may_choose() -> None:
    assert pod()["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_a_template_adds_sidecars_volumes_and_environment() -> None:
    template = {
        "metadata": {"annotations": {"example.org/scrape": "yes"}},
        "spec": {
            "nodeSelector": {"disk": "fast"},
            "containers": [
                {
                    "name": "server",
                    "env": [{"name": "MODE", "value": "fast"}],
                    "resources": {"limits": {"memory": "1Gi"}},
                    "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
                },
                {"name": "sidecar", "image": "sidecar:1"},
            ],
            "volumes": [{"name": "extra", "emptyDir": {}}],
        },
    }

    result = pod_template(service(template=template), SETTINGS)

    container, sidecar = result["spec"]["containers"]
    assert result["metadata"]["annotations"]["example.org/scrape"] == "yes"
    assert result["spec"]["nodeSelector"] == {"disk": "fast"}
    assert container["env"] == [{"name": "MODE", "value": "fast"}]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/etc/mtls", "/tmp", "/extra"]
    assert sidecar == {"name": "sidecar", "image": "sidecar:1"}
    assert [volume["name"] for volume in result["spec"]["volumes"]] == ["mtls", "tmp", "extra"]


@pytest.mark.parametrize(
    "template",
    [
        {"metadata": {"labels": {"app.kubernetes.io/instance": "other"}}},
        {"spec": {"serviceAccountName": "admin"}},
        {"spec": {"serviceAccount": "admin"}},
        {"spec": {"automountServiceAccountToken": True}},
        {"spec": {"automountServiceAccountToken": None}},
        {"spec": {"hostNetwork": True}},
        {"spec": {"hostPID": True}},
        {"spec": {"hostIPC": True}},
        {"spec": {"volumes": [{"name": "mtls", "secret": {"secretName": "authority-1"}}]}},
        {"spec": {"volumes": [{"name": "mtls", "secret": {"optional": True, "items": []}}]}},
        {"spec": {"containers": [{"name": "server", "command": ["sh"]}]}},
        {"spec": {"containers": [{"name": "server", "args": ["--port", "1"]}]}},
        {
            "spec": {
                "containers": [
                    {
                        "name": "server",
                        "volumeMounts": [{"mountPath": "/etc/mtls", "name": "other", "subPath": "x"}],
                    }
                ]
            }
        },
    ],
    ids=str,
)
def test_what_is_guarded_stays_as_it_is(template: Object) -> None:
    assert pod_template(service(template=template), SETTINGS) == pod_template(service(), SETTINGS)
