"""A prefix in a bucket of S3, or of another service that speaks its protocol. Needs the extra
``s3``.

The only place that knows the library. An object is durable when the service has answered, and it is
there as a whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from mmap import mmap
from typing import TYPE_CHECKING, Any

from zajil.config.options_s3 import S3Options, split_s3
from zajil.core.errors import NotFound, Unavailable
from zajil.core.value_class import value_class

if TYPE_CHECKING:
    from obstore.store import S3Store

_PIECE = 1 << 20
_CONNECT_TIMEOUT = timedelta(seconds=5)
_NOT_IMPLEMENTED = 501
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_SERVER = re.compile(r"Error performing [A-Z]+ (https?://[^/\s]+)")
_CAUSE = re.compile(r'(?:message|error): "([^"\n]{1,200})"')
_STATUS = re.compile(r"status code: (\d{3})( [A-Za-z ]+)?")


class BucketUnavailable(Unavailable):
    """The service cannot be used now; the text is one sentence for an operator."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        """Of its answer; ``None``: there was none."""


class MissingObject(NotFound):
    """The bucket has no object of this name."""


@value_class(frozen=True, slots=True)
class ListedObject:
    """An object, as it is listed."""

    name: str
    size: int
    modified: datetime
    """By the clock of the service."""


class Bucket:
    """Objects below a prefix."""

    def __init__(
        self, place: str, options: S3Options, *, timeout: timedelta, retry: timedelta, retries: int
    ) -> None:
        """Take the address and the credentials; nothing is connected yet.

        Args:
            place: ``s3://BUCKET/PREFIX``.
            options: how to reach it.
            timeout: of one request.
            retry: after this time a request that failed is not sent again.
            retries: how often it is.

        Raises:
            BucketUnavailable: the library is not installed, or an option cannot be used.
        """
        try:
            # Imported here: the library takes 6 MiB, which only what is in S3 needs.
            import obstore
            from obstore import exceptions
            from obstore.store import S3Store
        except ImportError:
            raise BucketUnavailable(
                f"{place} needs the library obstore: install Zajil with the extra 's3'"
            ) from None
        self.place = place
        bucket, prefix = split_s3(place)
        self._obstore: Any = obstore
        self._not_found: tuple[type[Exception], ...] = (exceptions.NotFoundError, FileNotFoundError)
        self._errors: tuple[type[Exception], ...] = (exceptions.BaseError, OSError, ValueError)
        self._unsupported: type[Exception] = exceptions.NotSupportedError
        self._exists: tuple[type[Exception], ...] = (
            exceptions.AlreadyExistsError,
            exceptions.PreconditionError,
        )
        given = {
            "endpoint": options.endpoint and options.endpoint.rstrip("/"),
            "region": options.region,
            "access_key_id": options.access_key,
            "secret_access_key": options.secret_key,
        }
        client: dict[str, Any] = {
            "timeout": timeout,
            "connect_timeout": min(timeout, _CONNECT_TIMEOUT),
        }
        if options.endpoint and options.endpoint.startswith("http://"):
            client["allow_http"] = True
        try:
            self._store: S3Store = S3Store(
                bucket,
                prefix=prefix or None,
                config={name: value for name, value in given.items() if value},  # type: ignore[arg-type]
                client_options=client,  # type: ignore[arg-type]
                retry_config={"max_retries": retries, "retry_timeout": retry},
            )
        except (exceptions.BaseError, ValueError) as error:
            raise BucketUnavailable(f"cannot use {place}: {_reason(error)[0]}") from error

    def put(self, name: str, content: bytes | mmap) -> None:
        """Write an object in one request, and replace an older one of this name.

        Raises:
            BucketUnavailable: it may be there or not.
        """
        try:
            self._put(name, content, "overwrite")
        except self._errors as error:
            raise self._failed("write", name, error) from error

    def put_new(self, name: str, content: bytes) -> bool:
        """Write an object with ``If-None-Match: *``; look first, for a service without it.

        Returns:
            Whether it was written: there was none of this name.

        Raises:
            BucketUnavailable: it may be there or not.
        """
        try:
            self.get(name)
        except MissingObject:
            pass
        else:
            return False
        try:
            self._put(name, content, "create")
        except self._exists:
            return False
        except self._errors as error:
            # OpenStack Swift answers 501 Not Implemented.
            if not isinstance(error, self._unsupported) and _reason(error)[1] != _NOT_IMPLEMENTED:
                raise self._failed("write", name, error) from error
            self.put(name, content)
        return True

    def _put(self, name: str, content: bytes | mmap, mode: str) -> None:
        self._obstore.put(self._store, name, content, mode=mode, use_multipart=False)

    def get(self, name: str) -> bytes:
        """Return the bytes of an object.

        Raises:
            MissingObject: there is none of this name.
            BucketUnavailable: it cannot be read.
        """
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of an object as they come, in pieces of about a MiB; otherwise as
        ``get``."""
        try:
            found = self._obstore.get(self._store, name)
            for piece in found.stream(min_chunk_size=_PIECE):
                yield bytes(piece)
        except self._not_found as error:
            raise self._missing(name) from error
        except self._errors as error:
            raise self._failed("read", name, error) from error

    def range(self, name: str, offset: int, size: int) -> bytes:
        """Return a part of an object, fewer bytes only at its end; otherwise as ``get``."""
        try:
            return bytes(self._obstore.get_range(self._store, name, start=offset, length=size))
        except self._not_found as error:
            raise self._missing(name) from error
        except self._errors as error:
            raise self._failed("read", name, error) from error

    def head(self, name: str) -> ListedObject | None:
        """Return the size and time of an object; ``None``: there is none of this name.

        Raises:
            BucketUnavailable: the service does not say.
        """
        try:
            return _listed(self._obstore.head(self._store, name))
        except self._not_found:
            return None
        except self._errors as error:
            raise self._failed("read", name, error) from error

    def is_versioned(self, name: str) -> bool:
        """Return whether an object has a version: old ones of it are kept, also when it is deleted.

        Raises:
            BucketUnavailable: the service does not say.
        """
        try:
            found = self._obstore.head(self._store, name)
        except self._errors as error:
            raise self._failed("read", name, error) from error
        return found.get("version") not in (None, "", "null")

    def list(self, prefix: str = "", after: str | None = None) -> Iterator[ListedObject]:
        """Yield all objects, or those in one folder, a thousand for each request.

        Args:
            prefix: one level, such as ``objects/``; "": all.
            after: only those whose names sort after this one.

        Raises:
            BucketUnavailable: they cannot be listed.
        """
        try:
            folder = prefix.rstrip("/") or None
            for some in self._obstore.list(self._store, folder, offset=after, chunk_size=1000):
                yield from map(_listed, some)
        except self._errors as error:
            raise self._failed("list", prefix or "the objects", error) from error

    def delete(self, name: str) -> None:
        """Delete an object; one that is not there is no error.

        Raises:
            BucketUnavailable: it may be there or not.
        """
        try:
            self._obstore.delete(self._store, name)
        except self._not_found:
            return
        except self._errors as error:
            raise self._failed("delete", name, error) from error

    def delete_all(self, names: Sequence[str]) -> None:
        """Delete objects with as few requests as the service can do; otherwise as ``delete``."""
        try:
            self._obstore.delete(self._store, list(names))
        except self._errors:
            for name in names:  # a service that knows no other way, or one of them was refused
                self.delete(name)

    def _missing(self, name: str) -> MissingObject:
        return MissingObject(f"object {name} is missing in {self.place}")

    def _failed(self, what: str, name: str, error: Exception) -> BucketUnavailable:
        text, status = _reason(error)
        return BucketUnavailable(f"cannot {what} {name} in {self.place}: {text}", status)


def _listed(found: Any) -> ListedObject:
    return ListedObject(found["path"], found["size"], found["last_modified"])


def _reason(error: Exception) -> tuple[str, int | None]:
    """Return what an operator needs of the words of the library, and the status if it has one."""
    whole = str(error).strip()
    text = whole.partition("\n")[0]
    if status := _STATUS.search(text):
        code = _CODE.search(whole)
        answer = status[0].partition(": ")[2].strip() + (f" ({code[1]})" if code else "")
        return f"the service answered {answer}", int(status[1])
    if server := _SERVER.search(text):
        cause = _CAUSE.search(whole)
        why = f": {cause[1].rpartition(': ')[2]}" if cause else ""
        if "kind: Connect," in whole:
            return f"cannot connect to {server[1]}{why}", None
        if "kind: Timeout," in whole:
            return f"{server[1]} did not answer in time", None
    return text.rpartition(" - ")[2] or type(error).__name__, None
