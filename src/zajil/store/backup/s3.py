"""Backups in S3, or in another service that speaks its protocol. Needs the extra ``s3``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from zajil.config.options_backup import S3_PREFIX, S3Options, split_s3
from zajil.store.backup.target import BackupTarget, NoSuchObject, TargetUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

R = TypeVar("R")

_TIMEOUT = timedelta(seconds=60)
_RETRIES = 5
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")


class S3Target(BackupTarget):
    """A prefix in a bucket. A write is durable when the service has answered."""

    def __init__(self, place: str, options: S3Options) -> None:
        """Take the address and the credentials; nothing is connected yet.

        Raises:
            TargetUnavailable: the library is not installed, or an option cannot be used.
        """
        try:
            # Imported here: the library takes 20 MiB, which only backups in S3 need.
            import obstore
            from obstore import exceptions
            from obstore.store import S3Store
        except ImportError:
            raise TargetUnavailable(
                "backups in S3 need the library obstore: install Zajil with the extra 's3'"
            ) from None
        self.place = place
        bucket, prefix = split_s3(place)
        self._obstore: Any = obstore
        self._error: type[Exception] = exceptions.BaseError
        self._not_found: tuple[type[Exception], ...] = (exceptions.NotFoundError, FileNotFoundError)
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
        config = {name: value for name, value in given.items() if value}
        client: dict[str, Any] = {"timeout": _TIMEOUT}
        if options.endpoint and options.endpoint.startswith("http://"):
            client["allow_http"] = True
        try:
            self._store: S3Store = S3Store(
                bucket,
                prefix=prefix or None,
                config=config,  # type: ignore[arg-type]
                client_options=client,  # type: ignore[arg-type]
                retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(minutes=3)},
            )
        except (exceptions.BaseError, ValueError) as error:
            raise TargetUnavailable(f"cannot use {place}: {_reason(error)}") from error

    def put(self, name: str, content: bytes) -> None:
        """Write an object in one request."""
        self._run("write", name, lambda: self._put(name, content, "overwrite"))

    def put_new(self, name: str, content: bytes) -> bool:
        """Write an object with ``If-None-Match: *``; look first, for a service without it."""
        try:
            self.get(name)
        except NoSuchObject:
            pass
        else:
            return False
        try:
            self._put(name, content, "create")
        except self._exists:
            return False
        except self._unsupported:
            self.put(name, content)
        except (self._error, OSError, ValueError) as error:
            raise self._failed("write", name, error) from error
        return True

    def _put(self, name: str, content: bytes, mode: str) -> None:
        self._obstore.put(self._store, name, content, mode=mode, use_multipart=False)

    def get(self, name: str) -> bytes:
        """Read an object."""
        try:
            return bytes(self._obstore.get(self._store, name).bytes())
        except self._not_found:
            raise NoSuchObject(f"object {name} is missing in {self.place}") from None
        except (self._error, OSError, ValueError) as error:
            raise self._failed("read", name, error) from error

    def names(self, prefix: str) -> Iterator[tuple[str, int]]:
        """List the objects, a thousand at a time."""
        try:
            for some in self._obstore.list(self._store, prefix.rstrip("/"), chunk_size=1000):
                for one in some:
                    yield one["path"], one["size"]
        except (self._error, OSError, ValueError) as error:
            raise self._failed("list", prefix, error) from error

    def delete(self, name: str) -> None:
        """Delete an object; S3 does not say whether it was there."""
        try:
            self._obstore.delete(self._store, name)
        except self._not_found:
            return
        except (self._error, OSError, ValueError) as error:
            raise self._failed("delete", name, error) from error

    def _run(self, what: str, name: str, work: Callable[[], R]) -> R:
        try:
            return work()
        except (self._error, OSError, ValueError) as error:
            raise self._failed(what, name, error) from error

    def _failed(self, what: str, name: str, error: Exception) -> TargetUnavailable:
        return TargetUnavailable(f"cannot {what} {name} in {self.place}: {_reason(error)}")


def is_s3(place: str) -> bool:
    """Return whether a place of backups is in S3."""
    return place.startswith(S3_PREFIX)


def _reason(error: Exception) -> str:
    """Return what an operator needs of the words of the library."""
    text = str(error).strip().partition("\n")[0]
    status = _STATUS.search(text)
    if status:
        return f"the service answered {status[1].strip()}"
    return text.rpartition(" - ")[2] or type(error).__name__
