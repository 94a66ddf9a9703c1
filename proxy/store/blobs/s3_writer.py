"""Writes one blob to a bucket: seals its content, and uploads the frames (CONTRACT U01, U05)."""

import asyncio
from types import TracebackType
from typing import Final, Self

from proxy.store.blobs.frames import FRAME, FrameSealer
from proxy.store.blobs.s3_upload import S3Upload

_AT_ONCE: Final = 4 * FRAME


class S3Writer:
    """A blob that is being written (`blobs.protocol.BlobWriter`).

    One part is sent while the frames of the next one are sealed.
    """

    def __init__(self, name: str, upload: S3Upload) -> None:
        self._name = name
        self._upload = upload
        self._sealer = FrameSealer()

    async def __aenter__(self) -> Self:
        await self._upload.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._upload.__aexit__(kind, error, trace)

    @property
    def sha256(self) -> str:
        """Returns the SHA-256 of the content so far, in lower-case hex."""
        return self._sealer.sha256

    async def write(self, data: bytes) -> None:
        """Appends a piece of any size. Raises BlobError when the store fails."""
        for start in range(0, len(data), _AT_ONCE):
            piece = data if len(data) <= _AT_ONCE else data[start : start + _AT_ONCE]
            if not self._sealer.takes(piece):
                for frame in await asyncio.to_thread(self._sealed, piece):
                    await self._upload.add(frame)

    async def commit(self) -> tuple[str, bytes]:
        """Makes the object; returns the blob's name and its key, which is stored nowhere else."""
        await self._upload.add(await asyncio.to_thread(self._sealer.last))
        await self._upload.commit()
        return self._name, self._sealer.key

    def _sealed(self, piece: bytes) -> list[bytes]:
        return list(self._sealer.frames(piece))
