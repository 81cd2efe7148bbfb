from pathlib import Path

import pytest

from tests.cluster import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLS_CACHE", str(tmp_path / "cache"))


def write(folder: Path) -> None:
    (folder / "file").write_text("content")


def fail(folder: Path) -> None:
    write(folder)
    raise RuntimeError("half way")


def test_a_version_is_built_once() -> None:
    built = cache.built("kind", "1", write)
    assert (built / "file").read_text() == "content"
    assert cache.built("kind", "1", fail) == built


def test_a_failed_build_leaves_nothing_and_is_tried_again() -> None:
    with pytest.raises(RuntimeError, match="half way"):
        cache.built("kind", "1", fail)
    assert [path.name for path in (cache.root() / "kind").iterdir()] == [".lock"]
    assert cache.built("kind", "1", write).exists()


def test_only_the_latest_versions_are_kept() -> None:
    for version in "1", "2", "3":
        cache.built("kind", version, write, keep=2)
    assert {path.name for path in (cache.root() / "kind").iterdir()} == {".lock", "2", "3"}


def test_a_key_follows_names_modes_and_contents(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    keys = set()
    for mode, content in (0o644, "a"), (0o644, "b"), (0o755, "b"):
        file.write_text(content)
        file.chmod(mode)
        keys.add(cache.tree_key(tmp_path, ["folder"]))
    file.rename(file.with_name("other"))
    keys.add(cache.tree_key(tmp_path, ["folder"]))
    assert len(keys) == 4


def test_a_key_does_not_follow_what_python_leaves(tmp_path: Path) -> None:
    before = cache.tree_key(tmp_path, ["."])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "module.pyc").write_bytes(b"compiled")
    assert cache.tree_key(tmp_path, ["."]) == before
