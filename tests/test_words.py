"""Texts that users and operators read are plain English with the standard terms of mail."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from babel.messages.pofile import read_po
from pydantic import BaseModel

import zajil.receive.replies as replies_module
from zajil.check.verdict.signals import SIGNALS
from zajil.config.options import Configuration
from zajil.smtp.reply import Reply
from zajil.tracking.reasons import REASONS
from zajil.web.language import catalog_path

UNWANTED = re.compile(
    r"""
    \bletters?\b                        # a message
    | \bso\ (?:many|long|much)\b        # a maximum, a duration
    | \b(?:nobody|somebody|everybody|anybody|whoever|whomever)\b
    | \bwhom\b
    | \b(?:lies|stands|speaks)\b        # is stored, is, supports
    | \b(?:tells?|told|hear)\b          # shows, reports
    | \b(?:vouch\w*|goes\ in\ circles)\b
    | \bholds\ no\ more\b | \bsays\ it\ all\b | \bare\ not\ taken\b | \bput\ (?:it|them)\ right\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What these texts must not contain; each has a plain term."""


def options(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    """Yield the purpose and the descriptions of all options below a group."""
    purpose = " ".join((model.__doc__ or "").split()).partition(": ")[2]
    yield path, purpose
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from options(kind, f"{path}.{name}")
        else:
            yield f"{path}.{name}", field.description or ""


def replies() -> Iterator[tuple[str, str]]:
    for name, value in vars(replies_module).items():
        if isinstance(value, Reply):
            yield name, " ".join(value.lines)


def catalog() -> Iterator[tuple[str, str]]:
    with catalog_path("ar").open("rb") as file:
        for message in read_po(file, locale="ar"):
            ids = message.id if isinstance(message.id, list | tuple) else [message.id]
            yield from ((text, text) for text in ids if text)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (options(Configuration, "options"), 100),
        (replies(), 30),
        (catalog(), 500),
        (((name, signal.text) for name, signal in SIGNALS.items()), 100),
        (((text, text) for text in REASONS), 150),
    ],
    ids=["options", "replies", "catalog", "signals", "reasons"],
)
def test_texts_are_plain(texts: Iterator[tuple[str, str]], expected: int) -> None:
    found = list(texts)
    assert len(found) >= expected
    assert [(name, text) for name, text in found if UNWANTED.search(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "The letter must come again later.",
        "At most so many units of work share one commit.",
        "nobody here has that login",
        "The copy for {recipient} lies in its mailbox.",
        "Nothing speaks against it.",
        "your log-in holds no more, connect again",
        "Whom we ask.",
    ],
)
def test_unwanted_words_are_found(text: str) -> None:
    assert UNWANTED.search(text)
