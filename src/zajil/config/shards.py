"""The configuration of each shard: a store of its own for some domains (decision 0020)."""

from __future__ import annotations

from zajil.config.options import Configuration
from zajil.config.options_acme import AcmeOptions
from zajil.config.options_directory import DirectoryOptions
from zajil.config.options_s3 import is_s3
from zajil.config.options_shards import MAIN_SHARD, beside
from zajil.core.errors import NotFound

FOLDER = "shards"
"""Below the data folder: one folder for each shard but the main one."""


class NoSuchShard(NotFound):
    """``store.shards`` has no shard of this name."""


def shard_names(configuration: Configuration) -> tuple[str, ...]:
    """Return the names of all shards: ``main``, then those of ``store.shards`` in their order."""
    return (MAIN_SHARD, *configuration.store.shards)


def configuration_of(configuration: Configuration, shard: str) -> Configuration:
    """Return the configuration of a server whose store is one of the shards.

    What belongs to the server and not to a store is done by the main shard alone: certificates
    from an authority, and the accounts of a directory.

    Args:
        configuration: of the server.
        shard: ``main``, or a name in ``store.shards``.

    Raises:
        NoSuchShard: there is none of this name.
    """
    if shard == MAIN_SHARD:
        return configuration
    options = configuration.store.shards.get(shard)
    if options is None:
        known = ", ".join(shard_names(configuration))
        raise NoSuchShard(f"store.shards has no shard {shard!r}; there are: {known}")
    server, store, backup = configuration.server, configuration.store, configuration.backup
    s3 = store.s3
    if s3.place is not None:
        s3 = s3.model_copy(update={"place": beside(s3.place, shard)})
    blobs = options.blobs or (beside(store.blobs, shard) if is_s3(store.blobs) else store.blobs)
    target = options.backup
    if target is None and backup.target is not None:
        target = beside(backup.target, shard)
    own: dict[str, object] = {
        "url": options.url,
        "replica_url": options.replica_url,
        "blobs": blobs,
        "s3": s3,
        "shards": {},
    }
    return configuration.model_copy(
        update={
            "store": store.model_copy(update=own),
            "server": server.model_copy(update={"data_dir": server.data_dir / FOLDER / shard}),
            "backup": backup.model_copy(update={"target": target}),
            "acme": AcmeOptions(),
            "directory": DirectoryOptions(),
        }
    )
