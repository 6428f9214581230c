"""Files that come with a form: in memory while small, then beside the files of messages.

They never pass through a folder for temporary files, which may be small, or memory. The reserve of
free space is kept, and a file has no name: whatever happens, nothing of it is left.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from io import BytesIO
from typing import Any

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from zajil.message.source import Source
from zajil.store.engine.spill import Spill
from zajil.store.mail.blobs import Blobs


class UploadedFile(UploadFile):
    """A file of a form."""

    def __init__(self, spill: Spill, filename: str | None, headers: Headers) -> None:
        super().__init__(BytesIO(), size=0, filename=filename, headers=headers)
        self._spill = spill

    async def write(self, data: bytes) -> None:
        """Take more bytes of it."""
        self.size = (self.size or 0) + len(data)
        if (written := self._spill.add(bytes(data))) is not None:
            await written

    async def seek(self, offset: int) -> None:
        """Do nothing: it is read by ``content``."""

    async def close(self) -> None:
        """Let go of it."""
        self._spill.discard()

    def content(self) -> bytes | Source:
        """Return all bytes.

        Raises:
            StoreUnavailable, StoreFull: they could not be kept.
        """
        return self._spill.content()


class _Parser(MultiPartParser):
    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], blobs: Blobs, **bounds: Any
    ) -> None:
        super().__init__(headers, stream, **bounds)
        self._blobs = blobs

    def on_headers_finished(self) -> None:
        """Put an upload in the place of the temporary file that the library makes."""
        super().on_headers_finished()
        made = self._current_part.file
        if made is not None:
            self._files_to_close_on_error.pop().close()
            self._current_part.file = UploadedFile(self._blobs.spill(), made.filename, made.headers)


async def read_upload_form(
    request: Request, blobs: Blobs, *, max_files: int, max_fields: int, max_part_size: int
) -> FormData:
    """Return a form whose files are of ``UploadedFile``; the request has it from then on.

    Args:
        request: its body was not read.
        blobs: where the files lie.
        max_files: in the form.
        max_fields: in the form.
        max_part_size: bytes of a field that is no file.

    Raises:
        HTTPException: it is no form, or too large.
    """
    bounds = {"max_files": max_files, "max_fields": max_fields, "max_part_size": max_part_size}
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            parser = _Parser(request.headers, request.stream(), blobs, **bounds)
            # Handlers ask the request for its form, and closing it closes the files.
            request._form = await parser.parse()
        except MultiPartException as error:
            raise HTTPException(400, error.message) from None
    return await request.form(**bounds)
