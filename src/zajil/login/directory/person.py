"""One entry of a directory as a person. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zajil.config.options_directory import DirectoryOptions
from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.login_name import BadLogin, parse_login
from zajil.core.units import parse_short_size

_LONGEST_NAME = 100
_MOST_ALIASES = 200
_BINARY_IDS = {"objectguid"}
"""Attributes whose value is 16 bytes and no text (lower case)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryPerson:
    """Somebody in the directory who has an address in a domain that it may fill."""

    subject: str
    """What names the person for ever."""
    dn: str
    address: Address
    aliases: tuple[Address, ...]
    """Without ``address``; in domains that the directory may fill."""
    login: str | None
    """``None``: the entry has none that can be used."""
    display_name: str
    quota: int | None
    """Bytes; 0: no limit; ``None``: the directory does not say."""
    is_disabled: bool = False
    is_admin: bool | None = None
    """``None``: the directory does not say."""
    equals: tuple[Address, ...] = ()
    """Those of ``aliases`` that are values of the same attribute as ``address``: a directory
    promises no order of them (RFC 4511 section 4.1.7)."""

    def keeping(self, address: Address) -> DirectoryPerson:
        """Return the person with this address of an account, if it is as good as the first one."""
        if address not in self.equals:
            return self
        keys = {one.key: one for one in (*self.aliases, self.address) if one != address}
        return replace(self, address=address, aliases=tuple(keys[key] for key in sorted(keys)))


@dataclass(frozen=True, slots=True)
class UnusableEntry:
    """An entry that makes no account."""

    dn: str
    reason: str
    subject: str = ""
    """``""``: it has none."""


def attributes_of(options: DirectoryOptions) -> list[str]:
    """Return the attributes to ask for."""
    asked = [
        options.id_attribute,
        options.address_attribute,
        options.alias_attribute,
        options.name_attribute,
        "cn",
        options.login_attribute,
        options.quota_attribute,
    ]
    return list(dict.fromkeys(name for name in asked if name))


def read_person(
    dn: str, raw: Mapping[str, Sequence[bytes]], options: DirectoryOptions
) -> DirectoryPerson | UnusableEntry:
    """Return a person, or why an entry is none.

    Args:
        dn: name of the entry.
        raw: values by attribute, as the server sent them.
        options: which attribute is what.
    """
    values = {name.lower(): found for name, found in raw.items()}
    subject = read_subject(values, options)
    if not subject:
        return UnusableEntry(dn, f"it has no {options.id_attribute}")
    texts = _Texts(values)
    found = [_address(text, options) for text in texts.all(options.address_attribute)]
    addresses = [one for one in found if one is not None]
    if not addresses:
        first = texts.first(options.address_attribute)
        reason = f"{first}: not an address in directory.domains" if first else "it has no address"
        return UnusableEntry(dn, reason, subject)
    quota, first_quota = None, texts.first(options.quota_attribute)
    if first_quota:
        try:
            quota = read_quota(first_quota)
        except ValueError:
            return UnusableEntry(dn, f"{first_quota}: not a quota", subject)
    name = texts.first(options.name_attribute) or texts.first("cn")
    address = addresses[0]
    aliases = (_alias(text, options) for text in texts.all(options.alias_attribute))
    others = {
        one.key: one for one in (*addresses, *aliases) if one is not None and one.key != address.key
    }
    return DirectoryPerson(
        subject=subject,
        dn=dn,
        address=address,
        aliases=tuple(others[key] for key in sorted(others))[:_MOST_ALIASES],
        login=_login(texts.first(options.login_attribute)),
        display_name=_display_name(name),
        quota=quota,
        equals=tuple(one for one in addresses[:_MOST_ALIASES] if one.key != address.key),
    )


def read_subject(values: Mapping[str, Sequence[bytes]], options: DirectoryOptions) -> str:
    """Return what names an entry for ever; empty: nothing does.

    Args:
        values: by attribute in lower case.
        options: which attribute it is.
    """
    found = values.get(options.id_attribute.lower(), ())
    if len(found) != 1 or not 0 < len(found[0]) <= 255:
        return ""
    if options.id_attribute.lower() in _BINARY_IDS:
        return bytes(found[0]).hex()
    try:
        text = bytes(found[0]).decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""


def subject_filter(subject: str, options: DirectoryOptions) -> str:
    """Return the filter of one person: its value is escaped whole (RFC 4515 section 3)."""
    is_binary = options.id_attribute.lower() in _BINARY_IDS
    value = bytes.fromhex(subject) if is_binary else subject.encode("utf-8")
    escaped = "".join(f"\\{byte:02x}" for byte in value)
    return f"(&{options.filter}({options.id_attribute}={escaped}))"


def read_quota(text: str) -> int:
    """Return bytes; 0: no limit.

    Raises:
        ValueError: neither a number of bytes nor a size.
    """
    size = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else parse_short_size(text)
    if size >= 1 << 60:
        raise ValueError("the quota is too large")
    return size


class _Texts:
    def __init__(self, values: Mapping[str, Sequence[bytes]]) -> None:
        self._values = values

    def all(self, attribute: str | None) -> list[str]:
        found: list[str] = []
        for value in self._values.get((attribute or "").lower(), ()):
            try:
                found.append(bytes(value).decode("utf-8").strip())
            except UnicodeDecodeError:
                continue
        return found

    def first(self, attribute: str | None) -> str:
        return next(iter(self.all(attribute)), "")


def _address(text: str, options: DirectoryOptions) -> Address | None:
    try:
        address = parse_address(text)
    except BadAddress:
        return None
    is_usable = address.domain in options.domains and not address.is_catch_all
    return address if is_usable else None


def _alias(text: str, options: DirectoryOptions) -> Address | None:
    # proxyAddresses of Active Directory: "SMTP:" the first address, "smtp:" others, "x500:" no mail
    kind, colon, rest = text.partition(":")
    if colon and "@" not in kind:
        return _address(rest, options) if kind.lower() == "smtp" else None
    return _address(text, options)


def _login(text: str) -> str | None:
    try:
        return parse_login(text) if text else None
    except BadLogin:
        return None


def _display_name(text: str) -> str:
    clean = " ".join(text.split())
    return clean[:_LONGEST_NAME] if clean.isprintable() else ""
