"""Errors of setup as sentences of the catalogs. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.config.load import BadConfiguration
from zajil.core.address import BadAddress
from zajil.core.domain import BadDomain
from zajil.core.errors import ZajilError
from zajil.operations.credentials import BadPassword, WeakPassword
from zajil.operations.run import WrongUser
from zajil.operations.setup import AlreadySetUp, CannotSetUp
from zajil.operations.setup_answers import BadAnswer
from zajil.operations.setup_undo import SetupRuns
from zajil.store.engine.errors import StoreFull, StoreUnavailable
from zajil.tls.context import BadCertificate
from zajil.tracking.check_names import mark
from zajil.tracking.sentences import Sentence


@dataclass(frozen=True, slots=True)
class Explained:
    """What a visitor reads about an error."""

    sentence: Sentence
    detail: str = ""
    """As the program words it, in English; ``""``: the sentence says all."""


_SENTENCES: tuple[tuple[type[ZajilError], str], ...] = (
    (BadAddress, mark("This is not an email address.")),
    (BadDomain, mark("This is not a name that others can look up in DNS.")),
    (
        WeakPassword,
        mark(
            "Choose a longer or less usual password: at least 10 characters, and not your name or "
            "address."
        ),
    ),
    (
        BadPassword,
        mark(
            "This password cannot be used. It has at most 1000 characters, and no control "
            "characters."
        ),
    ),
    (BadCertificate, mark("The certificate or its key cannot be used.")),
    (WrongUser, mark("This user does not exist on the machine.")),
    (AlreadySetUp, mark("There is a server in this folder or database already.")),
    (SetupRuns, mark("Another setup is working in this folder.")),
    (CannotSetUp, mark("The folder cannot be written.")),
    (StoreFull, mark("The disk is full.")),
    (StoreUnavailable, mark("The database cannot be used.")),
    (BadConfiguration, mark("The configuration would not be right.")),
)
_UNKNOWN = mark("This answer cannot be used.")


def explain(error: ZajilError) -> Explained:
    """Return what a visitor reads about an error."""
    if isinstance(error, BadAnswer):
        return Explained(Sentence(error.text, error.facts))
    found = next((text for kind, text in _SENTENCES if isinstance(error, kind)), _UNKNOWN)
    # The passwords of others are in no detail, and of these two the sentence says all.
    detail = "" if isinstance(error, BadPassword) else str(error)
    return Explained(Sentence(found, {}), detail)
