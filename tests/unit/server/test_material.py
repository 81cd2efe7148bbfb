"""A generation: its context, its proof in memory, and its judgement of peers."""

import resource
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mtls_server.contract import digest
from mtls_server.files.context import TlsSettings, prove
from mtls_server.files.faults import Fault, MaterialError
from mtls_server.files.material import MAX_JUDGED_PEERS, Generation, build
from mtls_server.identity import Reason
from tests.unit.server import pki
from tests.unit.server.conftest import World


def judge(generation: Generation, caller: pki.Issued, *issuers: pki.Issued) -> Reason | None:
    refusal = generation.judge(caller.der, [caller.der, *(issuer.der for issuer in issuers)]).refusal
    return refusal.reason if refusal else None


def test_a_generation_says_what_it_serves(world: World) -> None:
    files = world.files()
    generation = build(files, 7, TlsSettings(), pki.at())
    assert generation.number == 7
    assert generation.digest == digest(files)
    assert generation.not_before == pki.NOW - timedelta(minutes=1)
    assert generation.not_after == pki.NOW + timedelta(hours=1)
    assert generation.anchors == (pki.key_id(world.client_authority),)
    assert generation.certificate.encode() in files["tls.crt"]
    assert "BEGIN" not in repr(generation)


def test_the_context_admits_no_weaker_terms(world: World) -> None:
    context = world.generation().context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert ssl.VerifyFlags.VERIFY_X509_STRICT in context.verify_flags
    assert ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN in context.verify_flags
    assert ssl.Options.OP_NO_TICKET | ssl.Options.OP_NO_RENEGOTIATION in context.options
    assert context.num_tickets == 0


def test_the_strict_flag_and_the_version_are_the_users_choice(world: World) -> None:
    settings = TlsSettings(ssl.TLSVersion.TLSv1_2, x509_strict=False)
    context = world.generation(settings=settings).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert ssl.VerifyFlags.VERIFY_X509_STRICT not in context.verify_flags


def test_a_key_that_openssl_finds_too_small_is_refused_in_words(world: World) -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    with pytest.raises(MaterialError, match="ee key too small") as caught:
        build(world.files(key=small), 1, TlsSettings(), pki.at())
    assert caught.value.fault is Fault.TLS


def test_without_a_free_descriptor_new_files_are_refused_and_not_fatal(world: World) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(MaterialError, match="cannot be given to OpenSSL: Too many open files") as caught:
            build(world.files(), 1, TlsSettings(), pki.at())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.fault is Fault.UNREADABLE


def test_a_context_that_asks_for_no_certificate_is_not_proven(world: World) -> None:
    context = world.generation().context
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(MaterialError, match="succeeded without a client certificate"):
        prove(context)


def test_a_context_without_certificate_is_not_proven() -> None:
    with pytest.raises(MaterialError, match=r"no shared cipher|no suitable signature algorithm"):
        prove(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def test_a_listed_client_is_served_with_what_it_was_granted(world: World) -> None:
    caller = pki.client(world.client_authority)
    peer = world.generation().judge(caller.der, [caller.der, world.client_authority.der])
    assert peer.refusal is None
    assert peer.identity is not None
    assert (peer.identity.client, peer.identity.source) == ("billing", "own")
    assert (peer.identity.roles, peer.identity.tenant) == (("reader",), "acme")
    assert [ssl.PEM_cert_to_DER_cert(pem) for pem in peer.pem_chain] == [caller.der]


def test_an_unlisted_uri_is_refused(world: World) -> None:
    caller = pki.client(world.client_authority, uri=pki.BILLING_URI + "2")
    assert judge(world.generation(), caller, world.client_authority) is Reason.UNKNOWN_CLIENT


def test_a_certificate_without_uri_is_refused(world: World) -> None:
    assert (
        judge(world.generation(), pki.leaf(world.client_authority), world.client_authority)
        is Reason.UNKNOWN_CLIENT
    )


def test_a_further_source_cannot_speak_for_our_callers(world: World) -> None:
    partner = pki.authority("client authority")
    granted = pki.policy(world.client_authority, partner=partner)
    served = pki.server(world.server_authority)
    generation = build(
        pki.files(served, world.client_authority, partner, granted=granted), 1, TlsSettings(), pki.at()
    )
    assert judge(generation, pki.client(world.client_authority), world.client_authority) is None
    assert judge(generation, pki.client(partner), partner) is Reason.UNKNOWN_CLIENT


def test_an_authority_of_the_same_name_with_another_key_is_no_source(world: World) -> None:
    impostor = pki.authority("client authority")
    assert judge(world.generation(), pki.client(impostor), impostor) is Reason.UNKNOWN_SOURCE


def test_the_nearest_listed_authority_is_the_source(world: World) -> None:
    intermediate = pki.authority("partner", issuer=world.client_authority, path_length=0)
    granted = pki.policy(world.client_authority, partner=intermediate)
    files = pki.files(pki.server(world.server_authority), world.client_authority, granted=granted)
    generation = build(files, 1, TlsSettings(), pki.at())
    caller = pki.client(intermediate)
    assert judge(generation, caller, intermediate, world.client_authority) is Reason.UNKNOWN_CLIENT
    plain = build(
        pki.files(pki.server(world.server_authority), world.client_authority), 1, TlsSettings(), pki.at()
    )
    assert judge(plain, caller, intermediate, world.client_authority) is None


def test_a_resumed_peer_is_served_only_if_it_was_judged_before(world: World) -> None:
    generation = world.generation()
    caller = pki.client(world.client_authority)
    resumed = generation.judge(caller.der, [])
    assert resumed.refusal is not None
    assert resumed.refusal.reason is Reason.NOT_VERIFIED
    first = generation.judge(caller.der, [caller.der, world.client_authority.der])
    assert generation.judge(caller.der, []) is first


def test_a_judged_peer_is_refused_once_its_certificate_has_expired(world: World) -> None:
    now = [pki.NOW.timestamp()]
    generation = build(world.files(), 1, TlsSettings(), lambda: now[0])
    caller = pki.client(world.client_authority, not_after=pki.NOW + timedelta(minutes=1))
    assert judge(generation, caller, world.client_authority) is None
    now[0] += 120
    assert judge(generation, caller, world.client_authority) is Reason.EXPIRED
    resumed = generation.judge(caller.der, [])
    assert resumed.refusal is not None
    assert resumed.refusal.reason is Reason.EXPIRED


def test_bytes_that_are_no_certificate_are_a_refusal(world: World) -> None:
    peer = world.generation().judge(
        b"\x30\x03\x02\x01\x00", [b"\x30\x03\x02\x01\x00", world.client_authority.der]
    )
    assert peer.refusal is not None
    assert peer.refusal.reason is Reason.UNPARSABLE


def test_the_memory_of_judged_peers_is_bounded(world: World) -> None:
    generation = world.generation()
    for number in range(MAX_JUDGED_PEERS + 10):
        leaf = number.to_bytes(4)
        generation.judge(leaf, [leaf, world.client_authority.der])
    assert len(generation._judged) == MAX_JUDGED_PEERS


@pytest.mark.parametrize("minimum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_real_client_is_verified_to_the_anchor(
    world: World, minimum: ssl.TLSVersion, tmp_path: Path
) -> None:
    generation = world.generation(settings=TlsSettings(minimum))
    caller = pki.client(world.client_authority)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = pki.client_context(world.server_authority, caller, tmp_path)
        client.maximum_version = minimum
        with pki.shake_hands(generation.context, client, ours, theirs) as tls:
            chain = tls.get_verified_chain()
    peer = generation.judge(chain[0], chain)
    assert peer.refusal is None
    assert peer.chain == (caller.der, world.client_authority.der)
