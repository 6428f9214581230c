"""What does not work with messages in S3, for ``zajil config check``: it is tried."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import timedelta

from zajil.config.options import Configuration
from zajil.operations.finding import Finding
from zajil.store.blobs.bucket import Bucket, BucketUnavailable, MissingObject
from zajil.store.blobs.keys import BadStoreKey, StoreKeys
from zajil.store.blobs.prefix import MARK_NAME, foreign_text, load_mark
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.migrate import require_usable
from zajil.store.engine.open import make_dialect

_ANSWER = timedelta(seconds=5)
_MOST_SKEW_SECONDS = 300
"""Services refuse signatures of a clock that is 15 minutes away."""


def s3_findings(configuration: Configuration) -> Iterator[Finding]:
    """Return why messages could not be written, read, listed or deleted, and what else is odd."""
    options = configuration.store
    if options.key_file is not None:
        try:
            StoreKeys(options.key_file)
        except BadStoreKey as error:
            yield Finding("store.key_file", str(error))
    place = options.s3_place
    if place is None:
        return
    option = "store.blobs" if place == options.blobs else "store.s3.place"
    try:
        bucket = Bucket(place, options.s3, timeout=_ANSWER, retry=_ANSWER, retries=0)
        yield from _tried(bucket, option)
        yield from _foreign(bucket, configuration, option)
    except BucketUnavailable as error:
        yield Finding(option, str(error))


def _foreign(bucket: Bucket, configuration: Configuration, option: str) -> Iterator[Finding]:
    """Return that another store has marked the prefix, where the database can be asked."""
    try:
        found = bucket.get(MARK_NAME)
    except MissingObject:
        return
    dialect = make_dialect(configuration.store, configuration.server.data_dir)
    try:
        require_usable(dialect)
        with dialect.examining() as conn:
            mark = load_mark(conn, bucket.place)
    except StoreUnavailable:
        return  # what is wrong with it is another finding
    finally:
        dialect.close()
    if mark is None or mark.encode() != found:
        yield Finding(option, foreign_text(bucket.place))


def _tried(bucket: Bucket, option: str) -> Iterator[Finding]:
    name, content = f"check-{secrets.token_hex(8)}", b"written by zajil config check\n"
    bucket.put(name, content)
    try:
        if bucket.get(name) != content:
            yield Finding(option, f"{bucket.place} returned other bytes than those written")
        listed = next((one for one in bucket.list() if one.name == name), None)
        if listed is None:
            yield Finding(option, f"{bucket.place} does not list an object that was written")
        else:
            skew = round(abs(listed.modified.timestamp() - time.time()))
            if skew > _MOST_SKEW_SECONDS:
                reason = f"the clock of the service and that of this machine differ by {skew} s"
                yield Finding(option, reason)
        if bucket.is_versioned(name):
            yield Finding(
                option,
                f"{bucket.place} keeps versions: deleted messages stay there until a lifecycle "
                "rule of the bucket removes old versions",
                is_warning=True,
            )
    except MissingObject:
        yield Finding(option, f"{bucket.place} does not have an object that was just written")
    finally:
        yield from _deleted(bucket, name, option)


def _deleted(bucket: Bucket, name: str, option: str) -> Iterator[Finding]:
    try:
        bucket.delete(name)
    except BucketUnavailable as error:
        yield Finding(
            option,
            f"{error}: without the permission to delete, the bytes of deleted messages stay there",
        )
