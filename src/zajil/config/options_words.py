"""Options of the classifier of words (style C9)."""

from __future__ import annotations

from pydantic import Field

from zajil.config.options_group import Options


class WordOptions(Options):
    """``[check.words]``: the classifier that learns from what users move to Junk and back."""

    enabled: bool = Field(True, description="Judge mail by words that were learned.")
    learn: bool = Field(
        True,
        description="Learn from what users do: a mail that is moved to Junk, moved out of it, "
        "answered, kept in another folder, or read and left in INBOX.",
    )
    min_mails: int = Field(
        20,
        ge=1,
        description="Say nothing until so many mails of both kinds were learned, by the "
        "installation or by an account.",
    )
    share_percent: int = Field(
        20,
        ge=0,
        le=100,
        description="Most of what the installation learns that may come from one account, in per "
        "cent of the mails; so nobody spoils the filter of the others. 100: no bound.",
    )
    max_words: int = Field(
        150_000, ge=1000, description="Words that the installation keeps; the rarest go first."
    )
    max_words_per_account: int = Field(
        40_000, ge=1000, description="Words that an account keeps; the rarest go first."
    )
    models_in_memory: int = Field(
        64, ge=1, description="Accounts whose words a worker keeps in memory; about 2 MB each."
    )
