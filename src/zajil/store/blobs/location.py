"""How the row of a blob names the place of its bytes.

- ``xx/ID``: a file below the folder of blobs.
- ``s3:xx/ID.NONCE``: an object. Each upload has a name of its own that was never used before, so
  what is deleted later is never something else.
- With ``.KEY`` behind it: encrypted with this key.
"""

from __future__ import annotations

import re

from zajil.core.ids import BlobId
from zajil.core.value_class import value_class

OBJECT = "s3:"
"""Begins the location of an object."""
NONCE_SIZE = 6
"""Random bytes that the name of an object takes."""
_OBJECT_NAME = re.compile(r"([0-9a-f]{2})/[0-9a-f]{26}\1\.[0-9a-f]{12}(?:\.[0-9a-f]{8})?")


@value_class(frozen=True, slots=True)
class Location:
    """What a location says."""

    is_object: bool
    name: str
    """Of the object below the prefix, or path of the file below the folder."""
    blob_id: BlobId
    key_id: str | None
    """``None``: it is not encrypted."""


def parse_location(location: str) -> Location:
    """Return what a location says; one that we did not make has an empty id."""
    is_object = location.startswith(OBJECT)
    name = location.removeprefix(OBJECT)
    blob_id, *rest = name.rpartition("/")[2].split(".")
    rest = rest[1:] if is_object else rest
    return Location(is_object, name, BlobId(blob_id), rest[0] if rest else None)


def file_location(blob_id: BlobId, key_id: str | None = None, folder: str = "") -> str:
    """Return the location of a file.

    Args:
        blob_id: of the blob.
        key_id: of the key that it is encrypted with.
        folder: two hexadecimal digits; "": those that the id gives.
    """
    # The last characters of an id are random: 256 folders of like size.
    name = f"{folder or blob_id[-2:]}/{blob_id}"
    return name if key_id is None else f"{name}.{key_id}"


def object_location(blob_id: BlobId, random: bytes, key_id: str | None = None) -> str:
    """Return a new location of an object; ``random``: ``NONCE_SIZE`` random bytes."""
    name = f"{OBJECT}{blob_id[-2:]}/{blob_id}.{random.hex()}"
    return name if key_id is None else f"{name}.{key_id}"


def is_object_name(name: str) -> bool:
    """Return whether a name below the prefix is one that ``object_location`` makes.

    The prefix of another store may be below ours: its objects have one folder more.
    """
    return _OBJECT_NAME.fullmatch(name) is not None


def time_of_id(blob_id: str) -> int | None:
    """Return when an id was made, in milliseconds since 1970; ``None``: it is no id of ours."""
    try:
        return int.from_bytes(bytes.fromhex(blob_id)[:6], "big") if len(blob_id) == 28 else None
    except ValueError:
        return None
