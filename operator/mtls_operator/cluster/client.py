"""Reads and writes of objects, as the core needs them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from mtls_operator.api.names import FIELD_MANAGER
from mtls_operator.reconcile.ports import (
    CREATE_ONLY,
    EVENT,
    AlreadyExistsError,
    Object,
    Ref,
    RefusedError,
    Resource,
    UnavailableError,
)

from .failures import StatusError, explain, translate
from .transport import JSON, Request, Transport

_CHUNK: Final = "500"
_EXPIRED_LISTS: Final = 3
_APPLY: Final = "application/apply-patch+yaml"
_MERGE_PATCH: Final = "application/merge-patch+json"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_AS_US: Final = {"fieldManager": FIELD_MANAGER}


def path(resource: Resource, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
    """Return the path of a collection or, with a name, of an object."""
    root = "/api" if "/" not in resource.api_version else "/apis"
    parts = [root, resource.api_version]
    if namespace:
        parts += ["namespaces", namespace]
    parts.append(resource.plural)
    return "/".join(filter(None, (*parts, name, subresource)))


class ApiClient:
    """Implements `mtls_operator.reconcile.ports.Cluster`.

    ``guard`` is called just before each write is sent and raises UnavailableError to prevent it.
    """

    def __init__(self, transport: Transport, guard: Callable[[], None] = lambda: None) -> None:
        self._transport = transport
        self._guard = guard

    async def get(self, ref: Ref) -> Object | None:
        """Read one object live."""
        try:
            return await self._transport.send(Request("GET", path(*ref)))
        except StatusError as failed:
            if failed.code == 404 and failed.is_about(ref):
                return None
            if failed.code == 404:
                raise UnavailableError(f"{ref.resource.plural} are not served: {failed}") from None
            raise translate(failed, ref) from None

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str = "",
        *,
        metadata_only: bool = False,
    ) -> Sequence[Object]:
        """List live in chunks; a list that expires on the way is begun again."""
        accept = f"{_METADATA_LIST},{JSON}" if metadata_only else JSON
        for _ in range(_EXPIRED_LISTS):
            try:
                items = [
                    item async for item in self._chunks(path(resource, namespace), label_selector, accept)
                ]
            except StatusError as failed:
                if failed.code == 410:
                    continue
                words = f"list of {resource.plural}: {explain(failed, resource)}"
                if failed.code == 403:
                    raise RefusedError(words) from None
                raise UnavailableError(words, failed.retry_after) from None
            for item in items:
                item.update(apiVersion=resource.api_version, kind=resource.kind)
            return items
        raise UnavailableError(f"list of {resource.plural}: expired {_EXPIRED_LISTS} times on the way")

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create only."""
        ref = _ref(resource, body)
        async with _translated(ref, creates=True):
            return await self._write(Request("POST", path(resource, ref.namespace), _AS_US, body))

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Update; the body carries the observed resourceVersion."""
        ref = _ref(resource, body)
        async with _translated(ref):
            return await self._write(Request("PUT", path(*ref), _AS_US, body))

    async def apply(self, resource: Resource, body: Object) -> Object:
        """Apply server-side, forced.

        The API server creates a missing object anew, whatever its resourceVersion, unless the body
        carries the observed uid too.
        """
        return await self._apply(resource, body, "")

    async def apply_status(self, resource: Resource, body: Object) -> Object:
        """Apply server-side, forced, to the status subresource."""
        return await self._apply(resource, body, "status")

    async def annotate(self, ref: Ref, uid: str, annotations: Mapping[str, str | None]) -> Object:
        """Merge-patch annotations, with the UID as precondition."""
        async with _translated(ref):
            patch = {"metadata": {"uid": uid, "annotations": dict(annotations)}}
            return await self._write(Request("PATCH", path(*ref), _AS_US, patch, _MERGE_PATCH))

    async def annotate_template(self, ref: Ref, uid: str, annotations: Mapping[str, str]) -> None:
        """Merge-patch annotations of a workload's pod template, with the UID as precondition."""
        async with _translated(ref):
            template = {"metadata": {"annotations": dict(annotations)}}
            patch = {"metadata": {"uid": uid}, "spec": {"template": template}}
            await self._write(Request("PATCH", path(*ref), _AS_US, patch, _MERGE_PATCH))

    async def delete(self, ref: Ref, uid: str, resource_version: str) -> None:
        """Delete with both preconditions; an object already gone is no error."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        async with _translated(ref):
            try:
                await self._write(Request("DELETE", path(*ref), body=body))
            except StatusError as failed:
                if not (failed.code == 404 and failed.is_about(ref)):
                    raise

    async def post_event(self, body: Object) -> None:
        """Create the core/v1 Event or, where one of that name exists, add its count to it."""
        try:
            await self.create(EVENT, body)
        except AlreadyExistsError:
            ref = _ref(EVENT, body)
            known = await self.get(ref) or {}
            again = {"count": known.get("count", 0) + body["count"], "lastTimestamp": body["lastTimestamp"]}
            async with _translated(ref):
                await self._write(Request("PATCH", path(*ref), _AS_US, again, _MERGE_PATCH))

    async def _apply(self, resource: Resource, body: Object, subresource: str) -> Object:
        ref = _ref(resource, body)
        create_only = body["metadata"].get("resourceVersion") == CREATE_ONLY
        async with _translated(ref, creates=create_only):
            return await self._write(
                Request("PATCH", path(*ref, subresource), {**_AS_US, "force": "true"}, body, _APPLY)
            )

    async def _write(self, request: Request) -> Object:
        return await self._transport.send(request, self._guard)

    async def _chunks(self, collection: str, label_selector: str, accept: str) -> AsyncIterator[Object]:
        query = {"limit": _CHUNK}
        if label_selector:
            query["labelSelector"] = label_selector
        while True:
            chunk = await self._transport.send(Request("GET", collection, query, accept=accept))
            if not chunk.get("kind", "").endswith("List"):
                raise UnavailableError(f"{collection} was answered with something that is no list")
            for item in chunk.get("items") or ():
                yield item
            query["continue"] = chunk["metadata"].get("continue", "")
            if not query["continue"]:
                return


def _ref(resource: Resource, body: Object) -> Ref:
    metadata = body.get("metadata", {})  # a review has none
    return Ref(resource, metadata.get("namespace", ""), metadata.get("name", ""))


@asynccontextmanager
async def _translated(ref: Ref, *, creates: bool = False) -> AsyncIterator[None]:
    try:
        yield
    except StatusError as failed:
        raise translate(failed, ref, creates=creates) from None
