"""Whatever happens, in whatever order, a service converges, and what is in service holds together."""

import base64
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mtls_operator.api import names
from mtls_operator.pki.authority import Role, decode_authority, is_issued_by
from mtls_operator.reconcile.ports import SECRET, Ref
from tests.unit.reconcile.universe import Universe

FILES = ("tls.crt", "tls.key", "ca.crt", "policy.json")
SECRETS = ("orders-server", "orders-client-billing")


class Service(RuleBasedStateMachine):
    """One service in a world in which people edit, time passes, and the operator dies between writes."""

    @initialize()
    def begin(self) -> None:
        self.universe = Universe()
        self.universe.settle()

    @rule(minutes=st.integers(1, 3000))
    def time_passes(self, minutes: int) -> None:
        self.universe.after(minutes=minutes).settle()

    @rule(duration=st.sampled_from(["60s", "10m", "1h", "24h", "72h"]))
    def duration_changes(self, duration: str) -> None:
        self.universe.service["spec"]["certificates"] = {"duration": duration}
        self.universe.settle()

    @rule(clients=st.lists(st.sampled_from(["billing", "audit", "ledger"]), unique=True, max_size=3))
    def clients_change(self, clients: list[str]) -> None:
        self.universe.service["spec"]["clients"] = [{"name": name} for name in clients]
        self.universe.settle()

    @rule(value=st.text("abc", min_size=1, max_size=2))
    def reissue_is_asked_for(self, value: str) -> None:
        self.universe.service["metadata"]["annotations"] = {names.ANNOTATION_REISSUE: value}
        self.universe.settle()

    @rule(name=st.sampled_from(SECRETS), file=st.sampled_from(FILES), contents=st.binary(max_size=40))
    def a_file_is_garbled(self, name: str, file: str, contents: bytes) -> None:
        stored = self.universe.objects.get(Ref(SECRET, "shop", name))
        if stored is not None:
            stored["data"][file] = base64.b64encode(contents).decode()
        self.universe.settle()

    @rule(name=st.sampled_from(SECRETS))
    def a_secret_is_deleted(self, name: str) -> None:
        self.universe.objects.pop(Ref(SECRET, "shop", name), None)
        self.universe.settle()

    @rule()
    def an_authority_label_is_stripped(self) -> None:
        self.universe.secret("authority-uid-1")["metadata"]["labels"] = {}
        self.universe.settle()

    @rule(survivors=st.integers(0, 4), value=st.text("xyz", min_size=1, max_size=2))
    def the_operator_dies_between_writes(self, survivors: int, value: str) -> None:
        self.universe.service["metadata"]["annotations"] = {names.ANNOTATION_REISSUE: value}
        _, plan = self.universe.decide()
        self.universe.carry_out(type(plan)(writes=plan.writes[:survivors]))
        self.universe.settle()

    @invariant()
    def a_second_pass_writes_nothing(self) -> None:
        assert self.universe.settle() == []

    @invariant()
    def every_key_fits_its_certificate(self) -> None:
        for name in self._leaf_secrets():
            key = load_pem_private_key(self.universe.file(name, "tls.key"), None)
            public = (
                self._leaf(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            )
            assert key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public

    @invariant()
    def every_caller_trusts_the_server_and_the_server_every_caller(self) -> None:
        for name in self._leaf_secrets():
            other = "orders-server" if name != "orders-server" else next(iter(self._clients()), None)
            if other is not None:
                anchors = x509.load_pem_x509_certificates(self.universe.file(other, "ca.crt"))
                assert any(is_issued_by(self._leaf(name), anchor) for anchor in anchors)

    @invariant()
    def every_leaf_is_valid_now(self) -> None:
        for name in self._leaf_secrets():
            leaf = self._leaf(name)
            assert leaf.not_valid_before_utc <= self.universe.now + timedelta(seconds=1)
            assert self.universe.now < leaf.not_valid_after_utc

    @invariant()
    def each_authority_signs_and_has_its_key(self) -> None:
        data = self.universe.secret("authority-uid-1")["data"]
        roles: tuple[Role, ...] = ("server", "client")
        for role in roles:
            decode_authority(role, *(base64.b64decode(data[f"{role}.{part}"]) for part in ("crt", "key")))

    def _clients(self) -> list[str]:
        return [name for name in self._leaf_secrets() if name != "orders-server"]

    def _leaf_secrets(self) -> list[str]:
        return [
            ref.name for ref in self.universe.objects if ref.resource == SECRET and ref.namespace == "shop"
        ]

    def _leaf(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.universe.file(name, "tls.crt"))


TestService = Service.TestCase
TestService.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
