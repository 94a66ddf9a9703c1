"""Uploads encrypted frames to a bucket: few by one request, many in parts (CONTRACT U01, U05)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from proxy.concurrency.tasks import Tasks
from proxy.store.blobs.s3_bucket import S3Bucket
from proxy.store.blobs.s3_part import Part
from proxy.store.errors import BlobError

PART_FRAMES: Final = 80  # 5,244,160 bytes: every part but the last must have 5 MiB
_CLEAN_SECONDS: Final = 10.0

_log: Final = structlog.get_logger("proxy.blobs")


class S3Upload:
    """An object that is being made of encrypted frames, all but the last of SEALED bytes.

    One part is sent while the frames of the next one come. The object is there, whole, only after `commit`.
    Without it, nothing stays: parts are removed even if the caller is cancelled, by `tasks`.
    """

    def __init__(self, bucket: S3Bucket, path: str, new_part: Callable[[], Part], tasks: Tasks) -> None:
        self._bucket = bucket
        self._path = path
        self._new_part = new_part
        self._tasks = tasks
        self._part = new_part()
        self._beginning: asyncio.Task[str] | None = None
        self._sending: asyncio.Task[str] | None = None
        self._tags: list[str] = []
        self._size = 0
        self._committing = False
        self._committed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._committed:
            self._part.close()
        else:
            await self._tasks.finish("blob-discarded", self._discard())

    async def add(self, frame: bytes) -> None:
        """Appends a frame. Raises BlobError when the store fails."""
        if self._sending is not None and self._sending.done():
            await self._sent()  # raises at once if it failed
        if self._part.frames == PART_FRAMES:
            await self._send()
        await self._part.add(frame)

    async def commit(self) -> None:
        """Makes the object."""
        self._committing = True
        if self._beginning is None:
            await self._bucket.put(self._path, self._part)
        else:
            await self._send()
            await self._sent()
            upload = await self._beginning
            await self._bucket.complete(self._path, upload, self._tags, self._size)
        self._committed = True

    async def _send(self) -> None:
        """Begins to send the part that is full, after the one before it is there."""
        await self._sent()
        if self._beginning is None:
            self._beginning = asyncio.create_task(self._bucket.begin(self._path))
        # A cancelled caller leaves it running: without its answer the upload can't be removed.
        upload = await asyncio.shield(self._beginning)
        part, self._part = self._part, self._new_part()
        self._size += part.size
        self._sending = asyncio.create_task(self._send_part(upload, len(self._tags) + 1, part))

    async def _send_part(self, upload: str, number: int, part: Part) -> str:
        try:
            return await self._bucket.put_part(self._path, upload, number, part)
        finally:
            part.close()

    async def _sent(self) -> None:
        """Waits until the part under way is there."""
        if self._sending is not None:
            self._tags.append(await self._sending)
            self._sending = None

    async def _discard(self) -> None:
        """Ends what runs, then removes what the bucket has of this blob."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self._part.close()
        try:
            async with asyncio.timeout(_CLEAN_SECONDS):
                await self._remove()
        except (BlobError, TimeoutError):
            _log.warning("upload_left", remedy="the sweep removes it after a day")

    async def _remove(self) -> None:
        if self._beginning is not None:
            upload = ""
            with suppress(BlobError):
                upload = await self._beginning
            if upload:
                await self._bucket.abort(self._path, upload)
        if self._committing:  # the answer may have been lost
            await self._bucket.delete(self._path)
