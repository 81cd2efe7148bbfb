"""What kopf is told to watch, and the way of an event into the core's loop."""

import asyncio
import logging
import random
import threading
from itertools import islice

import kopf
import pytest

from mtls_operator.api.settings import Settings
from mtls_operator.handlers.bridge import Bridge
from mtls_operator.handlers.login import Login
from mtls_operator.handlers.watcher import Backoffs, kopf_settings, quieten
from mtls_operator.reconcile.ports import MTLSSERVICE, SECRET, Object, Resource
from mtls_operator.reconcile.watched import WATCHED, Watched, namespaces

NAMESPACED = Settings("mtls-system", "image", watched_namespaces=("shop", "bank"))
WHOLE_CLUSTER = Settings("mtls-system", "image")


def test_only_labelled_secrets_are_watched() -> None:
    secrets = kopf.Resource("", "v1", "secrets")
    assert kopf_settings(Backoffs(random.Random(1))).watching.label_selectors.collect(secrets) == [
        "mtls-operator.io/use"
    ]


def test_every_service_is_watched_and_of_the_rest_what_is_ours() -> None:
    assert {watched.resource.plural: watched.selector for watched in WATCHED} == {
        "mtlsservices": "",
        "secrets": "mtls-operator.io/use",
        **dict.fromkeys(
            (
                "deployments",
                "services",
                "serviceaccounts",
                "poddisruptionbudgets",
                "networkpolicies",
                "pods",
            ),
            "app.kubernetes.io/managed-by=mtls-operator",
        ),
    }


@pytest.mark.parametrize(
    ("watched", "labels", "admitted"),
    [
        (Watched(MTLSSERVICE), None, True),
        (Watched(SECRET, "use"), None, False),
        (Watched(SECRET, "use"), {"use": ""}, True),
        (Watched(SECRET, "by", "us"), {"by": "them"}, False),
        (Watched(SECRET, "by", "us"), {"by": "us"}, True),
    ],
)
def test_an_object_is_admitted_by_its_label(
    watched: Watched, labels: dict[str, str] | None, *, admitted: bool
) -> None:
    assert watched.admits({"metadata": {"labels": labels}}) is admitted


def test_of_the_own_namespace_only_secrets_are_in_scope() -> None:
    assert namespaces(NAMESPACED, SECRET) == ("shop", "bank", "mtls-system")
    assert namespaces(NAMESPACED, MTLSSERVICE) == ("shop", "bank")
    assert namespaces(WHOLE_CLUSTER, MTLSSERVICE) == (None,)


def test_kopf_never_gives_up_and_never_herds() -> None:
    backoffs = Backoffs(random.Random(1))
    pauses = list(islice(backoffs, 100))
    assert all(0.5 <= pause <= 30 for pause in pauses)
    assert pauses[-1] >= 15
    assert next(iter(backoffs)) <= 1, "each request begins anew"


def test_kopf_keeps_to_watching() -> None:
    settings = kopf_settings(Backoffs(random.Random(1)))
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert not settings.posting.enabled


async def test_events_cross_into_the_loop_in_order() -> None:
    here = threading.get_ident()
    arrived: list[str] = []

    def sink(event_type: str, resource: Resource, body: Object) -> None:
        assert threading.get_ident() == here
        assert resource == SECRET
        arrived.append(body["name"] + event_type)

    bridge = Bridge(asyncio.get_running_loop(), sink)
    numbers = [str(number) for number in range(5000)]

    def put_all() -> None:
        for number in numbers:
            bridge.put("!", SECRET, {"name": number})

    await asyncio.to_thread(put_all)
    async with asyncio.timeout(5):
        while len(arrived) < len(numbers):  # noqa: ASYNC110 - the sink has nothing to wait for
            await asyncio.sleep(0.01)
    assert arrived == [f"{number}!" for number in numbers]


async def test_a_closed_loop_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Bridge(loop, lambda *_: None).put("ADDED", SECRET, {})


async def test_objects_stay_out_of_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    quieten()
    log = logging.getLogger("kopf._cogs.clients.watching")
    log.warning("Ignoring an unsupported event type: %r", {"type": "?", "object": {"data": "precious"}})
    log.warning("Something else")
    assert caplog.messages == ["Something else"]


async def test_a_refused_token_is_not_retried_in_a_tight_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtls_operator.handlers.login._PAUSE", 0.2)
    monkeypatch.setattr(
        "mtls_operator.handlers.login._found", lambda _: kopf.ConnectionInfo(server="https://api", token="t")
    )
    login = Login()
    clock = asyncio.get_running_loop().time
    begun = clock()
    first = await login.connect()
    assert clock() - begun < 0.1
    second = await login.connect()
    assert clock() - begun >= 0.2
    assert first != second, "kopf forgets none that was refused, so each must be new"
