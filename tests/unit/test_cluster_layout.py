from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest

from tests.cluster import layout
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster, Port

RESERVED_FOR_BENCHMARKS = IPv4Network("198.18.0.0/15")
CLUSTERS = [Cluster(f"c{index}", index) for index in range(64)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLS_CACHE", str(tmp_path))
    (tmp_path / "clusters").mkdir()


def networks(cluster: Cluster) -> list[IPv4Network]:
    link = IPv4Network(f"{cluster.host_address}/30", strict=False)
    return [link, cluster.pod_network, cluster.service_network]


def test_no_two_clusters_share_an_address_or_a_port() -> None:
    every = [network for cluster in CLUSTERS for network in networks(cluster)]
    assert not [pair for pair in combinations(every, 2) if pair[0].overlaps(pair[1])]
    ports = [cluster.port(port) for cluster in CLUSTERS for port in Port]
    assert len(set(ports)) == len(ports)


def test_all_addresses_are_of_the_block_that_is_reserved_for_benchmarks() -> None:
    assert all(network.subnet_of(RESERVED_FOR_BENCHMARKS) for each in CLUSTERS for network in networks(each))


def test_a_cluster_keeps_its_place_and_others_take_the_next() -> None:
    first, second = layout.allocate("first"), layout.allocate("second")
    assert first.index < second.index
    assert layout.allocate("first") == first == layout.find("first")
    assert layout.find("third") is None


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "..", "-a", "a-", "a" * 40])
def test_a_name_that_cannot_name_a_folder_or_an_object_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="use lower-case letters"):
        layout.allocate(name)
