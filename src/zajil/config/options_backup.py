"""The options of backups."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from zajil.config.kinds import BadOption, Duration, FilePath, Kind, Secret, WebAddress, is_safe_url
from zajil.config.options_group import Options
from zajil.core.units import parse_duration

S3_PREFIX = "s3://"
_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")


def read_place(value: Any, info: ValidationInfo | None = None) -> Any:
    """Return where backups go: ``s3://...``, or the path of a folder.

    Raises:
        ValueError: the address of S3 has no bucket, or letters that names of objects cannot have.
    """
    if not isinstance(value, str):
        return value
    if value.startswith(S3_PREFIX):
        split_s3(value)
        return value
    folder = ((info.context if info is not None else None) or {}).get("folder")
    return str(Path(value) if folder is None else folder / value)


def split_s3(place: str) -> tuple[str, str]:
    """Return bucket and prefix of an address of S3; the prefix may be empty.

    Raises:
        ValueError: it is not such an address.
    """
    found = _S3.fullmatch(place)
    if found is None:
        raise ValueError(f"{place!r} is not an address like 's3://bucket/prefix'")
    return found[1], (found[2] or "").strip("/")


BackupPlace = Annotated[str, BeforeValidator(read_place), Kind("path, or s3://BUCKET/PREFIX")]
"""A folder, or a prefix in S3."""


class S3Options(Options):
    """``[backup.s3]``: access to backups in S3, or in another service with its protocol."""

    endpoint: WebAddress | None = Field(
        None,
        examples=["https://s3.example.net/"],
        description="Address of the service; default: that of Amazon S3 in the region.",
    )
    region: str | None = Field(
        None,
        examples=["eu-central-1"],
        description="Region of the bucket; default: from the environment (AWS_REGION).",
    )
    access_key: Secret | None = Field(
        None,
        examples=["AKIAEXAMPLE"],
        description="Id of the access key; default: from the environment (AWS_ACCESS_KEY_ID), or "
        "that of the machine.",
    )
    secret_key: Secret | None = Field(
        None,
        examples=["secret"],
        description="Secret of the access key; default: from the environment "
        "(AWS_SECRET_ACCESS_KEY), or that of the machine.",
    )

    @model_validator(mode="after")
    def _are_both_or_none(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise BadOption("backup.s3.secret_key", "it and backup.s3.access_key need each other")
        return self


class BackupOptions(Options):
    """``[backup]``: copies of the whole server in another place."""

    target: BackupPlace | None = Field(
        None,
        examples=["/backup/zajil"],
        description="Where backups are stored: a folder, best on another disk or machine, or "
        "s3://BUCKET/PREFIX (needs the extra 's3'). Default: no backups are made.",
    )
    key_file: FilePath | None = Field(
        None,
        examples=["/etc/zajil/backup.key"],
        description="File with the key that backups are encrypted with; `zajil backup key` "
        "creates it. Keep a copy elsewhere: without the key nothing can be restored. Default: "
        "backups are not encrypted.",
    )
    every_ms: Duration = Field(
        parse_duration("1d"),
        description="Time between two backups that the server makes by itself; '0s': only "
        "`zajil backup create` makes them.",
    )
    keep: int = Field(
        7, ge=1, description="Number of latest backups that are kept, however old they are."
    )
    keep_days: int = Field(
        30,
        ge=0,
        description="Number of days of which the last backup is kept. Older ones are deleted "
        "after each backup that the server makes, and by `zajil backup prune`.",
    )
    s3: S3Options = S3Options()

    @model_validator(mode="after")
    def _has_a_target(self) -> Self:
        if self.target is None and self.key_file is not None:
            raise BadOption("backup.target", "it is required with backup.key_file")
        endpoint = self.s3.endpoint
        if endpoint is not None and self.key_file is None and not is_safe_url(endpoint):
            raise BadOption(
                "backup.s3.endpoint",
                "without HTTPS everybody on the way could read the backups; "
                "use https://, or encrypt them (backup.key_file)",
            )
        return self
