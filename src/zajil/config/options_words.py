"""Options of the word classifier."""

from __future__ import annotations

from pydantic import Field

from zajil.config.options_group import Options


class WordOptions(Options):
    """``[check.words]``: the classifier that learns from mail that users move to and from Junk."""

    enabled: bool = Field(True, description="Classify mail by learned words.")
    learn: bool = Field(
        True,
        description="Learn from user actions: moving a message to or from Junk, replying to "
        "it, filing it in another mailbox, or leaving it in INBOX after reading.",
    )
    min_mails: int = Field(
        20,
        ge=1,
        description="Minimum number of learned junk and wanted messages each, for the server "
        "or for an account, before the classifier is used.",
    )
    share_percent: int = Field(
        20,
        ge=0,
        le=100,
        description="Maximum share of one account in what the server learns, in percent of the "
        "messages, so that no account can distort the filter of others. 100: no limit.",
    )
    max_words: int = Field(
        150_000,
        ge=1000,
        description="Maximum number of words kept for the server; the rarest are removed first.",
    )
    max_words_per_account: int = Field(
        40_000,
        ge=1000,
        description="Maximum number of words kept for an account; the rarest are removed first.",
    )
    models_in_memory: int = Field(
        64,
        ge=1,
        description="Maximum number of accounts whose words a worker keeps in memory; about 2 "
        "MB each.",
    )
