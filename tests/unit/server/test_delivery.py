"""One delivery is read whole, never mixed with another."""

import os
from pathlib import Path

import pytest

from mtls_server.files import delivery
from mtls_server.files.delivery import ATTEMPTS, MAX_FILE_BYTES, load
from mtls_server.files.faults import Fault, MaterialError
from tests.unit.server.kubelet import deliver

FIRST = {"tls.crt": b"1", "tls.key": b"1", "ca.crt": b"1", "policy.json": b"1"}
SECOND = dict.fromkeys(FIRST, b"2")
THIRD = dict.fromkeys(FIRST, b"3")


def test_a_mounted_secret_is_read_through_its_link(tmp_path: Path) -> None:
    deliver(tmp_path, FIRST)
    assert load(tmp_path) == FIRST


def test_a_plain_directory_is_read_as_it_is(tmp_path: Path) -> None:
    for name, contents in FIRST.items():
        (tmp_path / name).write_bytes(contents)
    assert load(tmp_path) == FIRST


def test_a_file_of_many_pieces_is_read_whole(tmp_path: Path) -> None:
    files = FIRST | {"policy.json": bytes(range(256)) * (MAX_FILE_BYTES // 256)}
    deliver(tmp_path, files)
    assert load(tmp_path) == files


def test_missing_files_are_left_out(tmp_path: Path) -> None:
    deliver(tmp_path, {"tls.crt": b"1"})
    assert load(tmp_path) == {"tls.crt": b"1"}
    assert load(tmp_path / "absent") == {}


def swap_while_reading(
    monkeypatch: pytest.MonkeyPatch, directory: Path, *deliveries: dict[str, bytes]
) -> None:
    """Before the second file of each pass is read, the next delivery arrives and the old one vanishes."""
    coming = iter(deliveries)
    read = delivery._read

    def read_late(path: Path) -> bytes:
        if path.name == "tls.key" and (files := next(coming, None)) is not None:
            deliver(directory, files)
        return read(path)

    monkeypatch.setattr(delivery, "_read", read_late)


def test_a_swap_while_reading_gives_the_new_delivery_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(tmp_path, FIRST)
    swap_while_reading(monkeypatch, tmp_path, SECOND)
    assert load(tmp_path) == SECOND


def test_two_swaps_back_to_back_give_the_last_delivery_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(tmp_path, FIRST)
    swap_while_reading(monkeypatch, tmp_path, SECOND, THIRD)
    assert load(tmp_path) == THIRD


def test_the_link_may_appear_while_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swap_while_reading(monkeypatch, tmp_path, FIRST)
    assert load(tmp_path) == FIRST


def test_a_directory_that_never_rests_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(tmp_path, FIRST)
    swap_while_reading(monkeypatch, tmp_path, *[SECOND] * (ATTEMPTS + 1))
    with pytest.raises(MaterialError, match="changed 10 times while it was read"):
        load(tmp_path)


def test_a_file_is_bounded(tmp_path: Path) -> None:
    deliver(tmp_path, FIRST | {"ca.crt": b"x" * (MAX_FILE_BYTES + 1)})
    with pytest.raises(MaterialError, match=r"ca\.crt is larger than 1048576 bytes"):
        load(tmp_path)


def test_a_pipe_is_no_file_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tls.crt")
    with pytest.raises(MaterialError, match=r"tls\.crt is not a regular file"):
        load(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").mkdir()
    with pytest.raises(MaterialError, match=r"tls\.crt") as caught:
        load(tmp_path)
    assert caught.value.fault is Fault.UNREADABLE
