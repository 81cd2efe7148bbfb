"""WSGI applications, without a framework, that tests serve."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answers by path; without one, says what the environment holds and what the body is."""
    answer: Callable[[dict[str, Any], Any], Iterable[bytes]] = PATHS.get(environ["PATH_INFO"], mirror)
    return answer(environ, start_response)


def mirror(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    document = json.dumps({"environ": told, "body": len(body), "roles": environ["mtls.identity"].roles})
    start_response("200 OK", [("Content-Type", "application/json"), ("Connection", "x"), ("X-A", "\xff")])
    return [document.encode()]


def lines(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    stream = environ["wsgi.input"]
    return [b"%r" % stream.readline(), b"%r" % stream.readlines(), b"%r" % stream.read(1)]


def echo(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Answers each line as it comes."""
    start_response("200 OK", [])
    yield from environ["wsgi.input"]


def endless(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    class Pieces:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 65536
                time.sleep(0.001)

        def close(self) -> None:
            print("closed", flush=True)

    start_response("200 OK", [])
    return Pieces()


def flood(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    while True:
        yield b"x" * 1024


def no_content(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("204 No Content", [("Content-Length", "0")])
    return [b"never sent"]


def written(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Length", "4")])
    write(b"ab")
    return [b"cd"]


def replaced(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    start_response("418 I'm a teapot", [], (KeyError, KeyError("late"), None))
    return []


def fails(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    raise KeyError("in the application")


def fails_late(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"begun"
    raise KeyError("in the application")


def finds_nothing(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    return [next(iter(()))]


def exits(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    raise SystemExit(3)


def splits(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("X-A", "b\r\nSet-Cookie: c")])
    return [b"x"]


def starts_never(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    return [b"x"]


def starts_twice(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def says_text(_environ: dict[str, Any], start_response: Any) -> Iterable[Any]:
    start_response("200 OK", [])
    return ["text"]


def slow(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    time.sleep(0.5)
    start_response("200 OK", [])
    return [threading.current_thread().name.encode()]


def stuck(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    time.sleep(60)
    return []


PATHS: dict[str, Any] = {
    f"/{function.__name__}": function
    for function in (
        lines,
        echo,
        endless,
        flood,
        no_content,
        written,
        replaced,
        fails,
        fails_late,
        finds_nothing,
        exits,
        splits,
        starts_never,
        starts_twice,
        says_text,
        slow,
        stuck,
    )
}
