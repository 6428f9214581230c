"""Errors of setup as sentences of the catalogs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zajil.config.load import BadConfiguration
from zajil.core.address import BadAddress
from zajil.core.domain import BadDomain
from zajil.core.errors import ZajilError
from zajil.operations.credentials import BadPassword
from zajil.operations.run import WrongUser
from zajil.operations.setup import AlreadySetUp, CannotSetUp
from zajil.operations.setup_answers import BadAnswer
from zajil.store.engine.errors import StoreUnavailable
from zajil.tls.context import BadCertificate
from zajil.tracking.check_names import mark


@dataclass(frozen=True, slots=True)
class Explained:
    """A sentence for the visitor, and the cause as the program words it, in English."""

    text: str
    """A key of the catalogs."""
    cause: str
    facts: Mapping[str, str] = field(default_factory=dict)


_SENTENCES: tuple[tuple[type[ZajilError], str], ...] = (
    (BadAnswer, mark("This answer cannot be used.")),
    (BadAddress, mark("This is not an email address.")),
    (BadDomain, mark("This is not a name that others can look up in DNS.")),
    (BadPassword, mark("This password is too short or too long.")),
    (BadCertificate, mark("The certificate or its key cannot be used.")),
    (WrongUser, mark("This user does not exist on the machine.")),
    (AlreadySetUp, mark("There is a server in this folder or database already.")),
    (CannotSetUp, mark("The folder cannot be written.")),
    (StoreUnavailable, mark("The database cannot be used.")),
    (BadConfiguration, mark("The configuration would not be right.")),
)


def explain(error: ZajilError) -> Explained:
    """Return what a visitor reads about an error."""
    found = next((text for kind, text in _SENTENCES if isinstance(error, kind)), _SENTENCES[0][1])
    return Explained(found, str(error))
