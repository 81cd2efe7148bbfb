"""To which cluster the demonstration goes."""

from pathlib import Path

import pytest

from tests.cluster import layout
from tests.cluster.errors import ClusterError
from tests.demo import target


@pytest.fixture(autouse=True)
def own_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("MTLS_CACHE", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("IMAGE_REGISTRY", raising=False)
    return layout.allocate(target.CLUSTER).kubeconfig


def test_without_kubeconfig_it_goes_to_its_own() -> None:
    assert not target.is_given()


def test_its_own_kubeconfig_as_it_told_to_export_it_is_no_other(
    monkeypatch: pytest.MonkeyPatch, own_kubeconfig: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(own_kubeconfig))
    assert not target.is_given()


def test_another_cluster_needs_to_be_told_where_the_images_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/somebody/.kube/config")
    with pytest.raises(ClusterError, match="set IMAGE_REGISTRY to it, such as"):
        target.choose()


def test_another_cluster_takes_the_images_from_that_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/somebody/.kube/config")
    monkeypatch.setenv("IMAGE_REGISTRY", "registry.example.com/team")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    chosen = target.choose()
    assert chosen.settings == {"image.registry": "registry.example.com/team"}
    assert chosen.command("helm", "version") == ["/usr/bin/helm", "version"]
    assert chosen.kubeconfig is None
