"""Backups in S3, or in another service that speaks its protocol. Needs the extra ``s3``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from zajil.config.options_s3 import S3Options
from zajil.store.backup.target import BackupTarget, NoSuchObject, TargetUnavailable
from zajil.store.blobs.bucket import Bucket, BucketUnavailable, MissingObject

_TIMEOUT = timedelta(seconds=60)
_RETRY = timedelta(minutes=3)
_RETRIES = 5


class S3Target(BackupTarget):
    """A prefix in a bucket. A write is durable when the service has answered."""

    def __init__(self, place: str, options: S3Options) -> None:
        """Take the address and the credentials; nothing is connected yet.

        Raises:
            TargetUnavailable: the library is not installed, or an option cannot be used.
        """
        self.place = place
        with _told():
            self._bucket = Bucket(place, options, timeout=_TIMEOUT, retry=_RETRY, retries=_RETRIES)

    def put(self, name: str, content: bytes) -> None:
        """Write an object in one request."""
        with _told():
            self._bucket.put(name, content)

    def put_new(self, name: str, content: bytes) -> bool:
        """Write an object that is not there."""
        with _told():
            return self._bucket.put_new(name, content)

    def get(self, name: str) -> bytes:
        """Read an object."""
        with _told():
            return self._bucket.get(name)

    def names(self, prefix: str) -> Iterator[tuple[str, int]]:
        """List the objects, a thousand at a time."""
        with _told():
            for one in self._bucket.list(prefix):
                yield one.name, one.size

    def delete(self, name: str) -> None:
        """Delete an object; S3 does not say whether it was there."""
        with _told():
            self._bucket.delete(name)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except MissingObject as error:
        raise NoSuchObject(str(error)) from None
    except BucketUnavailable as error:
        raise TargetUnavailable(str(error)) from error
