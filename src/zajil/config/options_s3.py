"""The options of what is kept in S3: where, and how it is reached."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from zajil.config.kinds import BadOption, Duration, Kind, Secret, WebAddress, is_safe_url
from zajil.config.options_group import Options
from zajil.core.units import parse_duration

S3_PREFIX = "s3://"
_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")


def is_s3(place: str) -> bool:
    """Return whether a place is in S3."""
    return place.startswith(S3_PREFIX)


def split_s3(place: str) -> tuple[str, str]:
    """Return bucket and prefix of an address of S3; the prefix may be empty.

    Raises:
        ValueError: it is not such an address.
    """
    found = _S3.fullmatch(place)
    if found is None:
        raise ValueError(f"{place!r} is not an address like 's3://bucket/prefix'")
    return found[1], (found[2] or "").strip("/")


def _blobs_place(value: Any) -> Any:
    if isinstance(value, str) and value != "files":
        if not is_s3(value):
            raise ValueError(f"{value!r} is neither 'files' nor an address like 's3://mail/x'")
        split_s3(value)
    return value


BlobsPlace = Annotated[str, BeforeValidator(_blobs_place), Kind("'files', or s3://BUCKET/PREFIX")]
"""Where large messages go."""


class S3Options(Options):
    """``[backup.s3]``: access to backups in S3, or in another service with its protocol."""

    group: ClassVar[str] = "backup.s3"

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
            raise BadOption(
                f"{self.group}.secret_key", f"it and {self.group}.access_key need each other"
            )
        return self

    def require_privacy(self, what: str, key_option: str) -> None:
        """See that nobody on the way can read what is not encrypted.

        Args:
            what: is kept there, in the plural: ``messages``.
            key_option: the option that encrypts it.

        Raises:
            BadOption: they could.
        """
        if self.endpoint is not None and not is_safe_url(self.endpoint):
            raise BadOption(
                f"{self.group}.endpoint",
                f"without HTTPS everybody on the way could read the {what}; "
                f"use https://, or encrypt them ({key_option})",
            )


class StoreS3Options(S3Options):
    """``[store.s3]``: access to messages in S3, or in another service with its protocol."""

    group: ClassVar[str] = "store.s3"

    place: str | None = Field(
        None,
        examples=["s3://mail/messages"],
        description="Where older messages are, s3://BUCKET/PREFIX, if store.blobs names another "
        "place for new ones: until `zajil store move-blobs` has moved all of them.",
    )
    timeout_ms: Duration = Field(
        parse_duration("30s"),
        ge=parse_duration("1s"),
        description="Maximum time of one request. New large mail is deferred with 451 4.3.0 if "
        "the service does not answer within about this time.",
    )

    @model_validator(mode="after")
    def _is_a_place(self) -> Self:
        if self.place is not None:
            try:
                split_s3(self.place)
            except ValueError as error:
                raise BadOption("store.s3.place", str(error)) from None
        return self
