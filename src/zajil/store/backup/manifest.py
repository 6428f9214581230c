"""What a snapshot consists of: the manifest, and the marker of a target.

Names in a target:
- ``zajil-backup``: the marker: format, and whether and with which key it is encrypted;
- ``snapshots/TIME-DIGEST``: manifests;
- ``objects/AB/ABCD...``: chunks, packs and files, by ``BackupSeal.name_of`` of their content;
- ``lock``: who writes now.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

from zajil.core.value_class import value_class
from zajil.store.backup.rows import Key
from zajil.store.backup.seal import BackupSeal, WrongKey
from zajil.store.backup.target import BackupTarget, DamagedBackup, NoSuchObject

FORMAT = 1
MARKER = "zajil-backup"
OBJECTS = "objects/"
SNAPSHOTS = "snapshots/"

BLOB_COLUMNS = (("id", "text"), ("size", "integer"), ("digest", "text"), ("pieces", "pieces"))
"""Columns of table ``blob`` in a backup.

``digest``: SHA-256 in hexadecimal; ``pieces``: ``[[object, offset, length], ...]``, whose bytes one
after the other are the message; both null: the bytes were missing in the store.
"""


_OBJECT = re.compile(r"[0-9a-f]{64}")
_SNAPSHOT = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{3}-[0-9a-f]{16}")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")


class UnknownFormat(DamagedBackup):
    """A newer version of Zajil wrote the target."""


class NotABackup(DamagedBackup):
    """The target contains no backups."""


@value_class(frozen=True, slots=True)
class RowChunk:
    """Some rows of a table, in one object."""

    name: str
    size: int
    """In bytes, as ``rows`` writes them."""
    rows: int
    first: Key
    """Key of the first row."""
    last: Key


@value_class(frozen=True, slots=True)
class TableRows:
    """The rows of a table, in the order of their keys."""

    columns: tuple[tuple[str, str], ...]
    """Names and kinds (``rows.kind_of``)."""
    key: tuple[str, ...]
    """Names of the columns of the primary key."""
    chunks: tuple[RowChunk, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(chunk.rows for chunk in self.chunks)


@value_class(frozen=True, slots=True)
class SavedFile:
    """A file beside the store: the configuration, or what it names."""

    path: str
    """Absolute; of a file in the data folder, its name there."""
    mode: int
    """Permissions."""
    size: int
    chunks: tuple[str, ...]
    """Objects whose contents one after the other are the file."""


@value_class(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One snapshot."""

    program: str
    """Version of Zajil."""
    schema: str
    """Number of the last migration of the store."""
    database: str
    """sqlite or postgresql."""
    node: str
    """Id of the node that made it."""
    begun_ms: int
    taken_ms: int
    """Everything is as it was at this time."""
    ended_ms: int
    tables: dict[str, TableRows]
    packs: tuple[tuple[str, int], ...]
    """Objects with bytes of messages, and the sizes of their contents."""
    sequences: dict[str, int]
    """By table: the highest number that was given to a row, which may be gone."""
    files: tuple[SavedFile, ...]
    left_out: tuple[str, ...]
    """Sentences: what could not be saved."""
    messages: int
    message_bytes: int
    accounts: int
    added_bytes: int
    """What this snapshot added to the target."""

    def objects(self) -> Iterator[str]:
        """Yield the names of all objects that it consists of."""
        for table in self.tables.values():
            yield from (chunk.name for chunk in table.chunks)
        yield from (name for name, _ in self.packs)
        for file in self.files:
            yield from file.chunks


def object_path(name: str) -> str:
    """Return where an object is, in 256 folders of like size.

    Raises:
        DamagedBackup: it is not a name of an object.
    """
    # Security: a target that somebody else wrote must not lead to files outside of it.
    if not is_object_name(name):
        raise DamagedBackup(f"{name!r:.100} is not a name of an object")
    return f"{OBJECTS}{name[:2]}/{name}"


def is_object_name(name: object) -> bool:
    """Return whether an object can have this name."""
    return isinstance(name, str) and _OBJECT.fullmatch(name) is not None


def read_object(target: BackupTarget, seal: BackupSeal, name: str) -> bytes:
    """Return the content of a chunk, pack or file.

    Raises:
        DamagedBackup: it is missing, or contains something else.
        WrongKey, TargetUnavailable: as ``BackupSeal.open`` and ``BackupTarget.get``.
    """
    try:
        content = seal.open(name, target.get(object_path(name)))
    except NoSuchObject:
        raise DamagedBackup(f"object {name} is missing in {target.place}") from None
    if seal.name_of(content) != name:
        raise DamagedBackup(f"object {name} is damaged: its content is another one")
    return content


# ---- manifests ----------------------------------------------------------------------------------


def write_manifest(target: BackupTarget, seal: BackupSeal, stamp: str, manifest: Manifest) -> str:
    """Write a manifest, after all its objects; return the name of the snapshot.

    Args:
        target: where to.
        seal: of the target.
        stamp: the time in UTC, such as ``20261130-062400-123``.
        manifest: what to write.
    """
    content = json.dumps(
        {"format": FORMAT, **dataclasses.asdict(manifest)}, ensure_ascii=False
    ).encode()
    name = f"{stamp}-{seal.name_of(content)[:16]}"
    target.put(SNAPSHOTS + name, seal.close(name, content))
    return name


def read_manifest(target: BackupTarget, seal: BackupSeal, name: str) -> Manifest:
    """Return the manifest of a snapshot.

    Raises:
        NoSuchObject: there is no such snapshot.
        DamagedBackup, UnknownFormat: it cannot be read.
        WrongKey, TargetUnavailable: as ``BackupSeal.open`` and ``BackupTarget.get``.
    """
    try:
        content = seal.open(name, target.get(SNAPSHOTS + name))
    except NoSuchObject:
        raise NoSuchObject(f"there is no snapshot {name} in {target.place}") from None
    if seal.name_of(content)[:16] != name.rpartition("-")[2]:
        raise DamagedBackup(f"snapshot {name} is damaged: its content is another one")
    try:
        found: dict[str, Any] = json.loads(content)
        _require_format(found.pop("format"))
        manifest = _read(found)
        _require_names(manifest)
        return manifest
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedBackup(f"snapshot {name} cannot be read: {error!r}") from None


def _read(found: dict[str, Any]) -> Manifest:
    tables = {
        name: TableRows(
            tuple((column, kind) for column, kind in table["columns"]),
            tuple(table["key"]),
            tuple(
                RowChunk(
                    one["name"], one["size"], one["rows"], tuple(one["first"]), tuple(one["last"])
                )
                for one in table["chunks"]
            ),
        )
        for name, table in found.pop("tables").items()
    }
    files = tuple(
        SavedFile(one["path"], one["mode"], one["size"], tuple(one["chunks"]))
        for one in found.pop("files")
    )
    packs = tuple((name, size) for name, size in found.pop("packs"))
    left_out = tuple(found.pop("left_out"))
    return Manifest(tables=tables, files=files, packs=packs, left_out=left_out, **found)


def _require_names(manifest: Manifest) -> None:
    """See that names can be what they are used for: objects, tables and columns.

    Raises:
        ValueError: one cannot.
    """
    for name in manifest.objects():
        if not is_object_name(name):
            raise ValueError(f"{name!r:.100} is not a name of an object")
    for name, table in manifest.tables.items():
        # Security: they become a part of statements of SQL.
        for one in (name, *table.key, *(column for column, _ in table.columns)):
            if not _IDENTIFIER.fullmatch(one):
                raise ValueError(f"{one!r:.100} is not a name of a table or column")


def snapshot_names(target: BackupTarget) -> list[str]:
    """Return the names of all snapshots, the oldest first; files of other programs are left out."""
    found = (name.removeprefix(SNAPSHOTS) for name, _ in target.names(SNAPSHOTS))
    return sorted(name for name in found if _SNAPSHOT.fullmatch(name))


# ---- the marker ---------------------------------------------------------------------------------


def require_marker(target: BackupTarget, seal: BackupSeal) -> None:
    """See that the target contains backups that this seal can read.

    Raises:
        NotABackup: it contains none.
        UnknownFormat: a newer version wrote them.
        WrongKey: they were written with another key, or without one.
    """
    try:
        content = target.get(MARKER)
    except NoSuchObject:
        raise NotABackup(f"{target.place} contains no backup of Zajil") from None
    try:
        found = json.loads(content)
        _require_format(found["format"])
        key_check = found["key_check"]
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedBackup(f"{MARKER} of {target.place} cannot be read: {error!r}") from None
    if key_check == seal.key_check:
        return
    if not key_check:
        raise WrongKey(f"{target.place} is not encrypted, but a key is configured")
    if not seal.key_check:
        raise WrongKey(
            f"{target.place} is encrypted: name its key in backup.key_file or with --key-file"
        )
    raise WrongKey(f"{target.place} was encrypted with another key than this one")


def write_marker(target: BackupTarget, seal: BackupSeal) -> None:
    """Make a target one of backups, unless it is; then see that the seal is the right one.

    Raises:
        UnknownFormat, WrongKey, DamagedBackup: as ``require_marker``.
        TargetUnavailable: it cannot be written.
    """
    marker = {"format": FORMAT, "program": "zajil", "key_check": seal.key_check}
    if not target.put_new(MARKER, json.dumps(marker).encode()):
        require_marker(target, seal)


def _require_format(found: Any) -> None:
    if found != FORMAT:
        raise UnknownFormat(
            f"the backup has format {found}, this program reads format {FORMAT}: a newer version "
            "of Zajil wrote it; use that version"
        )
