"""The operations on an S3 bucket that the blob store needs, and what their answers say."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from lxml import etree

from proxy.store.blobs.frames import SEALED
from proxy.store.blobs.s3_calls import Body, S3Answer, S3Calls
from proxy.store.blobs.s3_errors import S3Error
from proxy.store.errors import BlobError

if TYPE_CHECKING:
    from lxml.etree import _Element

_TRIES: Final = 4
_OK, _NOT_FOUND = 200, 404


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object in the bucket, or an upload that has not ended: then `upload` is its id."""

    path: str
    at: datetime
    upload: str = ""


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket; a path is an object's whole name. All methods raise S3Error."""

    calls: S3Calls

    async def put(self, path: str, body: Body | bytes, *, tries: int = _TRIES) -> None:
        await self.calls.call("PUT", path, body=body, tries=tries)

    async def delete(self, path: str, *, tries: int = _TRIES) -> None:
        """Removes the object, if it is there."""
        await self._delete(path, None, tries)

    async def frames(self, path: str) -> AsyncGenerator[bytes, None]:
        """Yields the object in pieces of SEALED bytes; after a break goes on where it stopped."""
        done, failures = 0, 0
        while True:
            try:
                async with self.calls.reading(path, done) as reading:
                    left = reading.size
                    while left:
                        frame = await reading.exactly(min(SEALED, left))
                        done, left, failures = done + len(frame), left - len(frame), 0
                        yield frame
                    return
            except S3Error as error:
                failure, failures = error, failures + 1
            if failure.code == "NoSuchKey":
                raise BlobError("no such blob")
            if not failure.again or failures == _TRIES:
                raise failure
            await self.calls.wait(failures)

    async def size(self, path: str) -> int | None:
        """Returns the size of the object; None if it is not there."""
        answer = await self.calls.call("HEAD", path, fine=(_OK, _NOT_FOUND))
        return int(answer.headers.get("Content-Length", "-1")) if answer.status == _OK else None

    async def begin(self, path: str) -> str:
        """Begins an upload in parts; returns its id."""
        answer = await self.calls.call("POST", path, {"uploads": ""})
        return _text(_root(answer), "UploadId")

    async def put_part(self, path: str, upload: str, number: int, body: Body) -> str:
        """Sends a part, counted from 1; returns the tag by which `complete` names it."""
        params = {"partNumber": str(number), "uploadId": upload}
        answer = await self.calls.call("PUT", path, params, body)
        return answer.headers.get("ETag", "")

    async def complete(self, path: str, upload: str, tags: Sequence[str], size: int) -> None:
        """Makes the object of its parts. A repetition after a lost answer finds no upload, but the object."""
        numbered = enumerate(map(escape, tags), 1)
        parts = (f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in numbered)
        body = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
        try:
            await self.calls.call("POST", path, {"uploadId": upload}, body)
        except S3Error as error:
            if error.code != "NoSuchUpload" or await self.size(path) != size:
                raise

    async def abort(self, path: str, upload: str) -> None:
        """Removes all parts of an upload, if it has not ended."""
        await self._delete(path, {"uploadId": upload}, _TRIES)

    async def objects(self, prefix: str) -> AsyncIterator[S3Object]:
        """Yields all objects whose paths begin with `prefix`."""
        token = ""
        while True:
            params = {"list-type": "2", "prefix": prefix}
            page = await self._page(params | ({"continuation-token": token} if token else {}))
            for each in _all(page, "Contents"):
                yield S3Object(_text(each, "Key"), _time(each, "LastModified"))
            if not (token := _text(page, "NextContinuationToken")):
                return

    async def uploads(self, prefix: str) -> AsyncIterator[S3Object]:
        """Yields all uploads in parts that have not ended, under `prefix`."""
        marks: Mapping[str, str] = {}
        while True:
            page = await self._page({"uploads": "", "prefix": prefix, **marks})
            for each in _all(page, "Upload"):
                yield S3Object(_text(each, "Key"), _time(each, "Initiated"), _text(each, "UploadId"))
            names = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
            marks = {name: _text(page, tag) for name, tag in names.items()}
            if not marks["key-marker"]:
                return

    async def is_versioned(self) -> bool:
        """Returns whether a deleted object stays as an older version."""
        return _text(await self._page({"versioning": ""}), "Status") in {"Enabled", "Suspended"}

    async def is_locked(self) -> bool:
        """Returns whether objects can be locked against their deletion."""
        try:
            return _text(await self._page({"object-lock": ""}), "ObjectLockEnabled") == "Enabled"
        except S3Error as error:
            if error.code in {"ObjectLockConfigurationNotFoundError", "NotImplemented"}:
                return False
            raise

    async def _page(self, params: Mapping[str, str]) -> "_Element":
        return _root(await self.calls.call("GET", "", params))

    async def _delete(self, path: str, params: Mapping[str, str] | None, tries: int) -> None:
        try:
            await self.calls.call("DELETE", path, params, fine=(200, 204), tries=tries)
        except S3Error as error:
            if error.status != _NOT_FOUND or error.code == "NoSuchBucket":
                raise


def _root(answer: S3Answer) -> "_Element":
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(answer.body, parser)
    except etree.XMLSyntaxError:
        failure = S3Error("it answered no XML: is the endpoint an S3 store's?")
    raise failure


def _all(root: "_Element", tag: str) -> "Iterator[_Element]":
    yield from root.findall(f"{{*}}{tag}")


def _text(root: "_Element", tag: str) -> str:
    """Returns the text of a child, whatever its namespace, which not all stores write; empty without one."""
    return root.findtext(f"{{*}}{tag}") or ""


def _time(root: "_Element", tag: str) -> datetime:
    try:
        return datetime.fromisoformat(_text(root, tag)).astimezone(UTC)
    except ValueError:
        failure = S3Error("it answered a time that is none")
    raise failure
