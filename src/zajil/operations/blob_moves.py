"""Large messages moved between files and S3 by an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zajil.config.options import Configuration
from zajil.config.options_s3 import is_s3
from zajil.core.errors import Invalid, Refused
from zajil.store.engine.dialect import Progress
from zajil.store.engine.folder import is_served
from zajil.store.engine.nodes import ALIVE, list_nodes
from zajil.store.engine.open import Store

if TYPE_CHECKING:
    from zajil.store.blobs.moving import MovedBlobs


class NoPlaceInS3(Invalid):
    """The configuration names no bucket."""


class ServerIsOlder(Refused):
    """The server was started with another configuration, and could not read the result."""


class OthersRun(Refused):
    """Other nodes run, and could not read files of this one."""


def move_large_messages(
    store: Store, configuration: Configuration, to: str | None, progress: Progress
) -> MovedBlobs:
    """Move the large messages of a store; the server may run.

    Args:
        store: opened.
        configuration: of the server.
        to: ``s3`` or ``files``; ``None``: where ``store.blobs`` says.
        progress: told of the bytes that are done, and of all.

    Raises:
        NoPlaceInS3: neither ``store.blobs`` nor ``store.s3.place`` names a bucket.
        ServerIsOlder: the server has to be started again first; nothing was moved.
        StoreInUse: another command moves them.
        OthersRun: they would go into files, which other nodes cannot read; nothing was moved.
        StoreUnavailable: S3, the disk or the database failed; what was moved stays moved.
    """
    # Imported here: it takes what few commands need.
    from zajil.store.blobs.moving import move_blobs
    from zajil.store.blobs.prefix import load_mark, require_mark
    from zajil.store.blobs.used_keys import load_used_keys

    options = configuration.store
    to_objects = is_s3(options.blobs) if to is None else to == "s3"
    if to_objects and not options.has_s3:
        raise NoPlaceInS3(
            "store.blobs is not in S3: set it to s3://BUCKET/PREFIX, and start the server again"
        )
    served, keys = is_served(configuration.server.data_dir), store.blobs.keys
    place = options.s3_place
    known = store.read_now(lambda conn: place is None or load_mark(conn, place) is not None)
    if served and not known:
        raise ServerIsOlder(f"the server does not know {place} yet: start it again first")
    if served and keys is not None and keys.current not in store.read_now(load_used_keys):
        raise ServerIsOlder(
            f"the server does not know key {keys.current} yet: start it again first"
        )
    if to_objects:
        require_mark(store)
    else:
        _require_alone(store)
    with store.working_alone("store move-blobs"):
        return move_blobs(store, to_objects=to_objects, progress=progress)


def _require_alone(store: Store) -> None:
    others = [
        f"{row.node_id} on {row.host}"
        for row in store.read_now(list_nodes)
        if row.state in ALIVE and row.node_id != store.node_id
    ]
    if others:
        raise OthersRun(
            f"other nodes run, which cannot read files of this one: {', '.join(others)}; "
            "stop them first, or keep large messages in S3"
        )
