"""The options of backups."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from zajil.config.kinds import BadOption, Duration, FilePath, Kind
from zajil.config.options_group import Options
from zajil.config.options_s3 import S3Options, is_s3, split_s3
from zajil.core.units import parse_duration


def read_place(value: str) -> str:
    """Return where backups go: ``s3://...``, or the path of a folder.

    Raises:
        ValueError: the address of S3 has no bucket, or letters that names of objects cannot have.
    """
    if is_s3(value):
        split_s3(value)
    return value


def _from_folder(value: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get("folder")
    return value if folder is None or is_s3(value) else str(folder / value)


BackupPlace = Annotated[
    str,
    AfterValidator(_from_folder),
    AfterValidator(read_place),
    Kind("path, or s3://BUCKET/PREFIX"),
]
"""A folder, a relative one in that of the configuration file; or a prefix in S3."""


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
        if self.key_file is None:
            self.s3.require_privacy("backups", "backup.key_file")
        return self
