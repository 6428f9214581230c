"""Reads a list of accounts from a passwd-file of Dovecot, or from shadow.

A line is ``user:{SCHEME}hash:uid:gid:name:home:shell:extra fields``; what follows the hash may be
left out. Of the extra fields the quota counts. The hashes are kept as they are, and replaced by our
own at the first log-in (``login.foreign_hashes``).
"""

from __future__ import annotations

from zajil.core.address import Address, parse_address
from zajil.core.errors import Invalid
from zajil.core.units import parse_short_size
from zajil.login.foreign_hashes import UnsupportedHash, plain_password, read_foreign_hash
from zajil.operations.account_lists import ListedAccount, ReadList, RefusedLine

_EXTRA, _SHADOW_FIELDS = 7, 9
_QUOTA_FIELDS = ("userdb_quota_rule", "quota_rule", "userdb_quota_storage_size")


class BadPasswdLine(Invalid):
    """A line that names no account with a password."""


def read_passwd_file(text: str, domain: str | None, scheme: str = "CRYPT") -> ReadList:
    """Return the accounts of a passwd-file, and the lines that make none.

    Args:
        text: the whole file.
        domain: of users that have none; ``None``: they are refused.
        scheme: of hashes that name none.
    """
    accounts: list[ListedAccount] = []
    refused: list[RefusedLine] = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("#"):
            continue
        try:
            accounts.append(_account(number, line, domain, scheme))
        except (Invalid, ValueError) as error:
            refused.append(RefusedLine(number, line.partition(":")[0][:320], str(error)))
    return ReadList(tuple(accounts), tuple(refused))


def _account(number: int, line: str, domain: str | None, scheme: str) -> ListedAccount:
    user, *fields = line.split(":")
    if not fields:
        raise BadPasswdLine("the line has no password field")
    address = _address(user.strip(), domain)
    stored = _hash(fields[0], scheme)
    plain = plain_password(stored)
    is_shadow = len(fields) == _SHADOW_FIELDS - 1 and all(
        one == "" or one.lstrip("-").isdigit() for one in fields[1:]
    )
    # The extra fields may contain colons.
    extra = "" if is_shadow else ":".join(fields[_EXTRA - 1 :])
    name = "" if is_shadow or len(fields) < 4 else fields[3].split(",")[0].strip()
    return ListedAccount(
        line=number,
        address=address,
        display_name=name,
        password=plain,
        password_hash=None if plain is not None else stored,
        quota=_quota(extra),
    )


def _address(user: str, domain: str | None) -> Address:
    if "@" in user:
        return parse_address(user)
    if domain is None:
        raise BadPasswdLine("the user has no domain; give one with --domain")
    return parse_address(f"{user}@{domain}")


def _hash(field: str, scheme: str) -> str:
    if field.startswith(("!", "*")):
        raise BadPasswdLine("the password is locked")
    if field in ("", "x"):
        raise BadPasswdLine("the line has no password hash; it may be in /etc/shadow")
    try:
        return read_foreign_hash(field, scheme)
    except UnsupportedHash as error:
        raise BadPasswdLine(f"the password cannot be used: {error}") from None


def _quota(extra: str) -> int | None:
    """Return the bytes of the quota of all mailboxes; 0: none is set there; ``None``: no field."""
    for pair in extra.split():
        key, _, value = pair.partition("=")
        if key not in _QUOTA_FIELDS:
            continue
        if key.endswith("storage_size"):
            return _storage(value)
        if not value.startswith("*:"):
            continue  # a rule of one mailbox
        for limit in value[2:].split(":"):
            what, _, amount = limit.partition("=")
            if what == "storage":
                return _storage(amount)
            if what == "bytes":
                return _storage(f"{amount}B" if amount.isdigit() else amount)
    return None


def _storage(amount: str) -> int:
    """Return bytes; a bare number is KiB, as in Dovecot."""
    size = (
        0
        if amount in ("0", "unlimited")
        else parse_short_size(f"{amount}K" if amount.isdigit() else amount)
    )
    if size >= 1 << 60:
        raise BadPasswdLine("the quota is too large")
    return size
