import json
from pathlib import Path

from tests.cluster import namespaces
from tests.cluster.layout import Cluster, Port
from tests.cluster.shell import run


def connect(cluster: Cluster) -> None:
    """Link the host and the node; the host gets routes to pods and Services, the node one to the API server.

    The API server stays on loopback: what the node sends to its port on the link is redirected there. Nothing
    else of the node is forwarded by the host.
    """
    link = cluster.host_interface
    run("ip", "link", "add", link, "type", "veth", "peer", "eth0", "netns", namespaces.handle(cluster, "net"))
    run("ip", "address", "add", f"{cluster.host_address}/30", "dev", link)
    run("ip", "link", "set", link, "up")
    Path(f"/proc/sys/net/ipv4/conf/{link}/route_localnet").write_text("1")
    _connect_node(cluster)
    for network in cluster.pod_network, cluster.service_network:
        run("ip", "route", "add", str(network), "via", str(cluster.node_address))
    run("nft", _redirection(cluster))


def disconnect(cluster: Cluster) -> None:
    if Path(f"/sys/class/net/{cluster.host_interface}").exists():
        run("ip", "link", "delete", cluster.host_interface)
    if _table(cluster) in _tables():
        run("nft", "delete", "table", "ip", _table(cluster))


def _connect_node(cluster: Cluster) -> None:
    inside = namespaces.enter(cluster, "net")
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "ip", "address", "add", f"{cluster.node_address}/30", "dev", "eth0")
    run(*inside, "ip", "link", "set", "eth0", "up")
    run(*inside, "ip", "route", "add", "default", "via", str(cluster.host_address))
    run(*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def _redirection(cluster: Cluster) -> str:
    link = cluster.host_interface
    port = cluster.port(Port.API)
    return f"""
        table ip {_table(cluster)} {{
            chain loopback {{
                type filter hook prerouting priority raw;
                iifname {link} ip daddr 127.0.0.0/8 drop;
            }}
            chain api {{
                type nat hook prerouting priority dstnat;
                iifname {link} ip daddr {cluster.host_address} tcp dport {port} dnat to 127.0.0.1;
            }}
            chain outside {{
                type filter hook forward priority filter;
                iifname {link} drop;
            }}
        }}
    """


def _table(cluster: Cluster) -> str:
    return f"mtls_operator_{cluster.index}"


def _tables() -> list[str]:
    listed = json.loads(run("nft", "--json", "list", "tables", "ip"))["nftables"]
    return [entry["table"]["name"] for entry in listed if "table" in entry]
