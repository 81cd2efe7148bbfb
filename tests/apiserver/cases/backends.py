"""What stands behind mTLS, and what has no meaning with it."""

from typing import Any

from mtls_operator.api.rules import backends
from tests.apiserver.cases.case import NONE, SHOP, Case, Spec, client


def not_with_none(number: int, field: str, value: Any) -> Case:
    return Case(backends.NOT_WITH_NONE[number], f"spec.{field}", (NONE,), (NONE | {field: value},))


def upstream(url: str = "http://127.0.0.1:8080", **fields: Any) -> Spec:
    return {"backend": {"upstream": {"url": url, "insecureAcknowledged": True} | fields}}


CASES = [
    Case(
        backends.ONE_BACKEND,
        "spec.backend",
        (
            {"backend": {"identity": {}}},
            {"backend": {"asgi": {"app": "shop:app"}}},
            {"backend": {"wsgi": {"app": "shop:app"}}},
            upstream(),
            NONE,
        ),
        ({"backend": {}}, {"backend": {"identity": {}, "none": {}}}),
    ),
    Case(
        backends.APPLICATION,
        "spec.backend.asgi.app",
        tuple(
            {"backend": {"asgi": {"app": app}}} for app in ("shop:app", "shop.orders_v2:make.app", "_a:_b")
        ),
        tuple(
            {"backend": {"asgi": {"app": app}}}
            for app in (
                "shop",
                "shop:",
                ":app",
                "shop/orders:app",
                "shop:app()",
                "shop.orders:app --reload",
                "1a:b",
            )
        ),
    ),
    Case(
        backends.UPSTREAM_URL,
        "spec.backend.upstream.url",
        tuple(
            upstream(url)
            for url in (
                "http://127.0.0.1:8080",
                "http://localhost:1/",
                "http://[::1]:65535",
                "http://legacy.shop.svc:80",
                "http://[2001:db8::7]:8080",
            )
        ),
        tuple(
            upstream(url)
            for url in (
                "https://127.0.0.1:8080",
                "127.0.0.1:8080",
                "http://127.0.0.1",
                "http://127.0.0.1:0",
                "http://127.0.0.1:65536",
                "http://127.0.0.1:8080/orders",
                "http://127.0.0.1:8080?a=b",
                "http://user@127.0.0.1:8080",
                "http://LEGACY:80",
                "http://-legacy:80",
                "http://[1]:80",
                "unix:/run/legacy.sock",
            )
        ),
    ),
    Case(
        backends.UPSTREAM_EXPOSED,
        "spec.backend.upstream.url",
        (
            *(
                upstream(url, insecureAcknowledged=False)
                for url in ("http://127.0.0.1:8080", "http://127.1.2.3:80", "http://localhost:80")
            ),
            upstream("http://legacy:80"),
        ),
        tuple(
            upstream(url, insecureAcknowledged=False)
            for url in (
                "http://legacy:80",
                "http://10.0.0.1:80",
                "http://127.0.0.1.example:80",
                "http://127.0.0.256:80",
                "http://localhost.example:80",
                "http://[::]:80",
            )
        ),
    ),
    Case(
        backends.TIMEOUT,
        "spec.backend.upstream.timeouts.response",
        tuple(upstream(timeouts={"response": timeout}) for timeout in ("1s", "0h1s", "10m")),
        tuple(upstream(timeouts={"response": timeout}) for timeout in ("0s", "0h00m")),
    ),
    Case(
        backends.RESTART,
        "spec.restart",
        (NONE | {"restart": [SHOP]}, {"restart": []}, client(restart=[SHOP])),
        ({"restart": [SHOP]}, {"backend": {"identity": {}}, "restart": [SHOP]}),
    ),
    Case(backends.ROUTE, "spec.route", ({},), ({"route": {"enabled": True, "host": "a.example"}},)),
    not_with_none(0, "authorization", {}),
    not_with_none(1, "tls", {"minVersion": "1.2"}),
    not_with_none(2, "template", {}),
    not_with_none(3, "image", "registry.example/orders:1"),
    not_with_none(4, "route", {"enabled": True}),
    not_with_none(5, "service", {"type": "ClusterIP"}),
    not_with_none(6, "networkPolicy", {"enabled": False}),
    Case(
        backends.NOT_WITH_NONE[7],
        "spec.clients",
        (NONE | client(), NONE | client(revoked=False), client(revoked=True)),
        (NONE | client(revoked=True),),
    ),
]
