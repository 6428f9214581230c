"""What the options of a store say of the bytes of its messages, put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zajil.config.options_s3 import is_s3
from zajil.config.options_server import StoreOptions
from zajil.core.clock import Clock, Random
from zajil.store.blobs.files import BlobFiles
from zajil.store.blobs.keys import StoreKeys
from zajil.store.mail.blobs import Blobs

if TYPE_CHECKING:
    from zajil.store.blobs.cache import DiskCache
    from zajil.store.blobs.objects import Objects

CACHE = "cache"
"""Folder of the copies of objects, below the data folder."""


def open_blobs(
    options: StoreOptions,
    data_dir: Path,
    require_space: Callable[[], None],
    clock: Clock,
    random: Random,
    *,
    is_command: bool,
) -> Blobs:
    """Return the bytes of the messages of a store; nothing is connected yet.

    Args:
        options: where they are.
        data_dir: of the files.
        require_space: raises ``StoreUnavailable`` when the disk has less than its reserve.
        clock: for ids.
        random: for ids and names.
        is_command: one that looks at many messages once, and keeps no copies of them.

    Raises:
        BadStoreKey: the key file cannot be used.
    """
    keys = None if options.key_file is None else StoreKeys(options.key_file)
    files = BlobFiles(data_dir / "blobs", require_space, random, keys)
    make = partial(_objects, options, files, require_space, random, keys, is_command)
    return Blobs(
        files,
        options.inline_limit,
        clock,
        random,
        keys=keys,
        objects=make if options.has_s3 else None,
        writes_objects=is_s3(options.blobs),
    )


def _objects(
    options: StoreOptions,
    files: BlobFiles,
    require_space: Callable[[], None],
    random: Random,
    keys: StoreKeys | None,
    is_command: bool,
) -> Objects:
    # Imported here: a store without S3 needs none of it.
    from zajil.store.blobs.objects import Objects

    objects = Objects(
        options.s3_place or "",
        options.s3,
        cache=open_cache(options, files.folder.parent, require_space),
        keys=keys,
        folder=files.folder,
        random=random,
    )
    objects.fills_cache = not is_command
    return objects


def open_cache(
    options: StoreOptions, data_dir: Path, require_space: Callable[[], None]
) -> DiskCache:
    """Return the copies of objects that a node keeps."""
    from zajil.store.blobs.cache import DiskCache

    return DiskCache(data_dir / CACHE, options.cache_size, require_space)
