"""What kopf is told to watch, and the way of an event into the core's loop."""

import asyncio
import logging
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice

import kopf
import pytest

from mtls_operator.api.settings import Settings
from mtls_operator.handlers.bridge import Bridge
from mtls_operator.handlers.login import Login
from mtls_operator.handlers.watcher import Backoffs, Watcher, end, kopf_settings, quieten
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
        "mtlsclients": "",
        "secrets": "mtls-operator.io/use",
        "configmaps": "mtls-operator.io/use",
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


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("10.0.0.1", "https://10.0.0.1:443"),
        ("fd00::1", "https://[fd00::1]:443"),
        ("api.example.org", "https://api.example.org:443"),
    ],
)
async def test_in_a_pod_the_service_account_logs_in(
    monkeypatch: pytest.MonkeyPatch, host: str, server: str
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    account = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t")
    monkeypatch.setattr("kopf.login_with_service_account", lambda **_: account)

    connection = await Login().connect()

    assert (connection.server, connection.token) == (server, "t")
    assert connection.expiration is not None


class Kopf:
    """Stands in for kopf's life, so that it can end as the real one seldom does."""

    def __init__(self, *lives: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> None:
        self.lives = list(lives)
        self.begun = 0

    async def spawn_tasks(self, *, stop_flag: asyncio.Event, **_: object) -> Sequence[asyncio.Task[None]]:
        self.begun += 1
        return [asyncio.create_task((self.lives.pop(0) if self.lives else good)(stop_flag))]


async def good(stop: asyncio.Event) -> None:
    await stop.wait()


async def failing(_: asyncio.Event) -> None:
    raise LookupError("precious")


async def stuck(_: asyncio.Event) -> None:
    """Swallow every cancellation for a second."""
    clock = asyncio.get_running_loop().time
    ends = clock() + 1
    while clock() < ends:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)


@asynccontextmanager
async def watching(kopf: Kopf, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watcher]:
    monkeypatch.setattr("kopf.spawn_tasks", kopf.spawn_tasks)
    monkeypatch.setattr("mtls_operator.handlers.watcher._FIRST_BACKOFF", 0.01)
    monkeypatch.setattr("mtls_operator.handlers.watcher._LONGEST_END", 0.1)
    monkeypatch.setattr("mtls_operator.handlers.watcher._FAREWELL", 0)
    monkeypatch.setattr("mtls_operator.handlers.watcher._PATIENCE", 0.05)
    watcher = Watcher(NAMESPACED, lambda *_: None, all_served, random.Random(1))
    stop = asyncio.Event()
    running = asyncio.create_task(watcher.run(stop))
    yield watcher
    stop.set()
    async with asyncio.timeout(0.5):
        await running


async def all_served() -> Sequence[str]:
    return ()


async def begun(kopf: Kopf, times: int) -> None:
    async with asyncio.timeout(5):
        while kopf.begun < times:  # noqa: ASYNC110 - it begins in another thread
            await asyncio.sleep(0.01)


async def test_kopf_that_fails_begins_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kopf = Kopf(failing)
    async with watching(kopf, monkeypatch) as watcher:
        await begun(kopf, 2)
        assert watcher.trouble == ""
    assert caplog.messages == ["the watches ended: LookupError; they will begin anew"]


async def test_kopf_that_hangs_is_left_to_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kopf = Kopf(stuck)
    async with watching(kopf, monkeypatch) as watcher:
        await begun(kopf, 1)
        watcher.restart()
        await begun(kopf, 2)
    assert caplog.messages == ["kopf does not end; it is left to itself, and its events are dropped"]
    await asyncio.sleep(1)


async def test_nothing_is_watched_until_every_kind_is_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [["pods are not served here"], []]

    async def unserved() -> Sequence[str]:
        return answers.pop(0)

    kopf = Kopf()
    async with watching(kopf, monkeypatch) as watcher:
        watcher.unserved = unserved
        await begun(kopf, 1)
        assert watcher.trouble == ""
    assert answers == []
    assert caplog.messages == ["Cannot watch yet: pods are not served here"]


async def test_kopf_ends_although_a_watch_swallows_its_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtls_operator.handlers.watcher._PATIENCE", 0.01)

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def kopf_alone() -> None:
        await asyncio.Event().wait()

    watch, root = asyncio.create_task(stubborn()), asyncio.create_task(kopf_alone())
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await end([root])

    assert root.cancelled()
    assert watch.cancelled()
