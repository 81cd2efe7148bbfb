"""Mounts files as kubelet does: a directory for each delivery, and one link that is swapped."""

import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path

from mtls_server.files.delivery import DATA_LINK

_deliveries = itertools.count(1)


def deliver(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write a new delivery, swap the link, remove the old delivery."""
    directory.mkdir(exist_ok=True)
    link = directory / DATA_LINK
    old = directory / link.readlink() if link.is_symlink() else None
    new = directory / f"..2026_11_24_08_00_00.{next(_deliveries)}"
    new.mkdir()
    for name, contents in files.items():
        (new / name).write_bytes(contents)
    fresh = directory / "..data_tmp"
    fresh.symlink_to(new.name)
    fresh.rename(link)
    for name in files:
        visible = directory / name
        if not visible.is_symlink():
            visible.symlink_to(Path(DATA_LINK) / name)
    if old is not None:
        shutil.rmtree(old)
