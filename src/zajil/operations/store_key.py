"""The file of keys that messages outside of the database are encrypted with."""

from __future__ import annotations

import os
from pathlib import Path

from zajil.operations.backup_files import FileFailed
from zajil.operations.run import find_user
from zajil.store.backup.seal import new_key_text
from zajil.store.blobs.keys import StoreKeys
from zajil.store.engine.folder import new_private_file, sync_folder
from zajil.store.engine.spill import write_whole


def add_store_key(path: Path, user: str | None) -> StoreKeys:
    """Put a new key in front of those in a key file; create the file where it is missing.

    Args:
        path: of the file; only its owner can read it.
        user: ``server.user``; it becomes the owner of a new file if this is root.

    Returns:
        The keys of the file, the new one first.

    Raises:
        BadStoreKey: the file exists and is no key file; it is not changed.
        FileFailed: it cannot be written; it is not changed.
    """
    try:
        older = b""
        owner: tuple[int, int] | None = None
        if path.exists():
            StoreKeys(path)
            older, found = path.read_bytes(), path.stat()
            owner = (found.st_uid, found.st_gid)
        elif user is not None and os.geteuid() == 0:
            entry = find_user(user)
            owner = (entry.pw_uid, entry.pw_gid)
        _replace(path, new_key_text().encode() + older, owner)
    except OSError as error:
        raise FileFailed(f"cannot write {path}: {error.strerror}") from error
    return StoreKeys(path)


def _replace(path: Path, content: bytes, owner: tuple[int, int] | None) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = new_private_file(draft)
    try:
        write_whole(descriptor, content)
        if owner is not None and os.geteuid() == 0:
            os.fchown(descriptor, *owner)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)
    sync_folder(path.parent)
