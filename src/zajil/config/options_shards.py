"""The options of each shard: an element of ``store.shards`` (decision 0020)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from zajil.config.kinds import DatabaseAddress
from zajil.config.options_backup import BackupPlace
from zajil.config.options_group import Options
from zajil.config.options_s3 import BlobsPlace, is_s3, split_s3

MAIN_SHARD = "main"
"""Name of the shard whose store is that of ``store.url``."""


def _shard_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", value) or value == MAIN_SHARD:
        raise ValueError(
            f"{value!r} is not a name: 1 to 31 of a-z, 0-9 and '-', a letter first, and not main"
        )
    return value


ShardName = Annotated[str, AfterValidator(_shard_name)]
"""``"north"``: a key of ``store.shards``."""


class ShardOptions(Options):
    """An element of ``store.shards``: the store of some domains."""

    url: DatabaseAddress
    """Of its database; ``sqlite``: a file in its folder."""
    replica_url: DatabaseAddress | None = None
    """Of a standby of its database; ``None``: there is none."""
    blobs: BlobsPlace | None = None
    """Where its large messages go; ``None``: beside those of the main shard."""
    backup: BackupPlace | None = None
    """Where its backups go; ``None``: beside those of the main shard."""


def beside(place: str, shard: str) -> str:
    """Return a place for a shard that is not below that of the main one.

    Raises:
        ValueError: the place is a whole bucket of S3: everything is below it.
    """
    if is_s3(place) and not split_s3(place)[1]:
        raise ValueError(f"{place} is a whole bucket, and has no place for the shard {shard}")
    return f"{place.rstrip('/')}-{shard}"
