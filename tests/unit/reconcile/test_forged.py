"""What somebody may write into the Secrets of one namespace, and what that must not do to a service."""

import copy
from datetime import datetime, timedelta

import pytest

from mtls_operator.api import names
from mtls_operator.reconcile.ports import SECRET, Ref

from .api import Operator
from .test_callers import WEB_SECRET, operator_with
from .universe import client_object


def annotate(operator: Operator, ref: Ref, annotations: dict[str, str]) -> None:
    """Let somebody annotate a Secret that is there."""
    stored = copy.deepcopy(operator.api.objects[ref])
    stored["metadata"]["annotations"] |= annotations
    operator.watch(SECRET, stored)


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T12:00:00", "yesterday"],
)
async def test_no_moment_of_trust_stops_the_service(moment: str) -> None:
    operator = operator_with(client_object())
    await operator.reconcile()
    annotate(operator, WEB_SECRET, {names.ANNOTATION_TRUST_SINCE: moment})
    operator.now += timedelta(hours=13)
    writes = await operator.reconcile()
    assert "replace Secret shop/orders-server" in writes
    annotations = operator.api.objects[WEB_SECRET]["metadata"]["annotations"]
    assert datetime.fromisoformat(annotations[names.ANNOTATION_TRUST_SINCE]) <= operator.now
