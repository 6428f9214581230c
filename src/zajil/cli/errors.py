"""Expected errors, each one sentence for the operator, and the exit status they end in."""

from __future__ import annotations

import sys
from typing import NoReturn

WRONG_USAGE, NOT_DONE = 2, 1


class WrongUsage(Exception):
    """The command line itself does not make sense."""


def exit_status(error: BaseException) -> int | None:
    """Give the status of an expected error; ``None``: it is a fault of ours.

    The classes are looked up by what is loaded already: an error can only come from a module that
    is, and no command pays for the imports of another.
    """
    for status, names in ((WRONG_USAGE, _WRONG_USAGE), (NOT_DONE, _NOT_DONE)):
        for name in names:
            module, _, cls = name.rpartition(".")
            known = getattr(sys.modules.get(f"zajil.{module}"), cls, None)
            if known is not None and isinstance(error, known):
                return status
    return None


def fail(error: BaseException, status: int) -> NoReturn:
    """Say it on stderr and end."""
    for one in (error, *getattr(error, "others", ())):
        print(f"zajil: {one}", file=sys.stderr)
    raise SystemExit(status)


_WRONG_USAGE = (
    "cli.errors.WrongUsage",
    "config.load.BadConfiguration",
    "core.address.BadAddress",
    "core.domain.BadDomain",
    "core.login_name.BadLogin",
    "store.people.aliases.BadAlias",
    "operations.password.BadPassword",
    "operations.app_passwords.BadAppPasswordName",
)
_NOT_DONE = (
    "operations.explain.NotJudged",
    "operations.dkim_keys.KeysAreWaiting",
    "operations.dmarc_reports.NotOurReport",
    "operations.held_accounts.NotHeld",
    "operations.journey.NoSuchMail",
    "operations.open.WrongUser",
    "operations.setup.AlreadySetUp",
    "operations.setup.CannotSetUp",
    "app.serve.CannotStart",
    "cli.message_file.NoMessageFile",
    "mailauth.dkim_sign.BadSigningKey",
    "mailauth.dkim_sign.CannotSign",
    "store.people.account_names.LastAdmin",
    "store.people.accounts.NoSuchAccount",
    "store.people.alias_loop.AliasLoop",
    "store.people.aliases.LastTarget",
    "store.people.app_passwords.NoSuchAppPassword",
    "store.people.app_passwords.TooManyAppPasswords",
    "store.people.aliases.NoSuchAlias",
    "store.mail.blobs.NoSuchBlob",
    "store.people.delegations.NoSuchAddress",
    "store.people.delegations.NoSuchDelegation",
    "store.people.dkim_keys.NoSuchKey",
    "store.reports.dmarc_reports.NoSuchReport",
    "store.people.domains.AlreadyExists",
    "store.people.domains.DomainInUse",
    "store.people.domains.NoSuchDomain",
    "store.engine.errors.StoreError",
    "tls.context.BadCertificate",
)
