"""What the API server's audit log says that an account did."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


@dataclass(frozen=True)
class Request:
    user: str
    verb: str
    resource: str
    """Plural, with the subresource after a slash."""
    namespace: str
    name: str
    code: int
    second: str
    """When it was received, to the second."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.namespace}/{self.name} → {self.code}"


class Audit:
    """Reads the audit log from where it stood when this was made."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._begin = log.stat().st_size

    def requests(self, user: str = "", namespace: str = "") -> list[Request]:
        """Return the requests answered since; those of one account, in one namespace, if these are given."""
        with self._log.open("rb") as log:
            log.seek(self._begin)
            lines = log.read().rpartition(b"\n")[0].splitlines()
        found = [_request(json.loads(line)) for line in lines]
        return [
            request
            for request in found
            if user in {"", request.user} and namespace in {"", request.namespace}
        ]

    def writes(self, user: str = "", namespace: str = "") -> list[Request]:
        """Return those that write, renewals of Leases and questions about access left out."""
        return [
            request
            for request in self.requests(user, namespace)
            if request.verb in WRITES and request.resource not in {"leases", "selfsubjectaccessreviews"}
        ]


def count(requests: list[Request]) -> Counter[str]:
    return Counter(f"{request.verb} {request.resource}" for request in requests)


def _request(entry: dict[str, object]) -> Request:
    about = entry.get("objectRef") or {}
    user = entry["user"]
    answer = entry.get("responseStatus") or {}
    assert isinstance(about, dict)
    assert isinstance(user, dict)
    assert isinstance(answer, dict)
    subresource = f"/{about['subresource']}" if "subresource" in about else ""
    return Request(
        user=user["username"],
        verb=str(entry["verb"]),
        resource=about.get("resource", "") + subresource,
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=answer.get("code", 0),
        second=str(entry["requestReceivedTimestamp"])[:19],
    )
