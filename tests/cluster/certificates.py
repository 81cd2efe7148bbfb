import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster.layout import DOMAIN, Cluster

LIFE = timedelta(days=365)
USAGES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
LOOPBACK = ["localhost", "127.0.0.1"]


@dataclass(frozen=True)
class Authority:
    """A certificate authority that writes what it issues into a folder."""

    folder: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, folder: Path, name: str) -> "Authority":
        authority = cls(folder, _subject(name), _new_key())
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = authority._builder(authority.name, authority.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        authority._sign(builder.add_extension(usage, critical=True), name, authority.key)
        return authority

    def issue(
        self, file: str, common_name: str, group: str | None = None, hosts: list[str] | None = None
    ) -> None:
        key = _new_key()
        builder = self._builder(_subject(common_name, group), key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage(USAGES), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        self._sign(builder, file, key)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + LIFE)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(issuer_key, critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder, file: str, key: ec.EllipticCurvePrivateKey) -> None:
        certificate = builder.sign(self.key, hashes.SHA256())
        (self.folder / f"{file}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        _write_key(self.folder / f"{file}.key", key)


def create(cluster: Cluster) -> None:
    """Write all certificates and keys of a cluster, once: they are there whole or not at all."""
    if cluster.pki.exists():
        return
    folder = cluster.state / "pki.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _issue_all(Authority.create(folder, "ca"), cluster)
    etcd = Authority.create(folder, "etcd-ca")
    etcd.issue("etcd", "etcd", hosts=LOOPBACK)
    etcd.issue("etcd-client", "kube-apiserver")
    Authority.create(folder, "front-proxy-ca").issue("front-proxy", "front-proxy")
    _write_key(folder / "service-account.key", account := _new_key())
    public = account.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "service-account.pub").write_bytes(public)
    folder.rename(cluster.pki)


def _issue_all(authority: Authority, cluster: Cluster) -> None:
    service = f"kubernetes.default.svc.{DOMAIN}"
    names = [service.rsplit(".", dropped)[0] for dropped in range(5)]
    addresses = [str(cluster.host_address), str(cluster.service_network[1])]
    authority.issue("apiserver", "kube-apiserver", hosts=[*LOOPBACK, *names, *addresses])
    authority.issue("apiserver-kubelet-client", "kube-apiserver", group="system:masters")
    authority.issue("admin", "admin", group="system:masters")
    for component in "kube-controller-manager", "kube-scheduler":
        authority.issue(component, f"system:{component}", hosts=LOOPBACK)
    authority.issue("kube-proxy", "system:kube-proxy")
    authority.issue("coredns", "system:coredns")
    node = cluster.node_name, str(cluster.node_address)
    authority.issue("kubelet", f"system:node:{cluster.node_name}", group="system:nodes", hosts=[*node])


def _subject(common_name: str, group: str | None = None) -> x509.Name:
    organization = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        address = ip_address(host)
    except ValueError:
        return x509.DNSName(host)
    return x509.IPAddress(IPv4Address(address))


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
