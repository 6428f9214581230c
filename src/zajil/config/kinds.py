"""The types of option values: durations and sizes with a unit, names, paths, secrets.

A validator raises a short reason; ``load`` adds the file and the option.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from zajil.core.address import BadAddress, parse_address
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.errors import Invalid
from zajil.core.units import format_duration, format_size, parse_duration, parse_size


class BadOption(Invalid, ValueError):
    """An option that is wrong only beside another one; raised by model validators."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(reason)
        self.option = option
        """Dotted: ``queue.first_retry``."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What people write for an option: a word for the manual, and how a default is shown."""

    word: str
    show: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True)
class RestartMark:
    """Marks an option that a reload cannot change."""


NEEDS_RESTART = RestartMark()
"""In the annotation of an option: it takes effect at the next start. All others are reloaded."""


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else _needs_unit(value)


def _size(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else _needs_unit(value)


def _needs_unit(value: Any) -> Any:
    raise ValueError(f"{value!r} has no unit; write it with one, like '30s' or '25MiB'")


def _domain(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return to_ascii(value)
        except BadDomain as error:
            raise ValueError(str(error)) from None
    return value


def _host_port(value: Any) -> Any:
    if not isinstance(value, str) or ":" not in value:
        raise ValueError(f"{value!r} is not ADDRESS:PORT, like '0.0.0.0:25' or '[::]:25'")
    host, _, port = value.rpartition(":")
    try:
        ip_address(host.strip("[]"))
        number = int(port)
    except ValueError:
        raise ValueError(f"{value!r} is not ADDRESS:PORT with a bare IP address") from None
    if not 0 <= number <= 65535:
        raise ValueError(f"{value!r}: a port is 0 to 65535")
    return value


def is_safe_url(url: str) -> bool:
    """Whether secrets may travel to an address: by HTTPS, or without leaving the machine."""
    parts = urlsplit(url)
    if parts.username is not None or not parts.hostname:
        return False
    here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    return parts.scheme == "https" or (parts.scheme == "http" and here)


_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _database_address(value: Any) -> Any:
    # Security: the value may hold a password, and stands in no reason.
    if not isinstance(value, str) or value == "sqlite":
        return value
    if not value.startswith(DATABASE_SCHEMES):
        raise ValueError("it is neither 'sqlite' nor an address like 'postgresql://user@host/name'")
    address = None
    try:
        address = urlsplit(value)
        hosts = address.netloc.rpartition("@")[2].split(",")
        ports = [urlsplit(f"//{host}").port for host in hosts]
        is_right = 0 not in ports and not any(map(str.isspace, value))
    except ValueError:
        is_right = False
    if "@" in value and (address is None or _has_raw_characters(address)):
        raise ValueError(
            "the user or the password has a special character that must be written as % and two "
            "hexadecimal digits: %40 for @, %2F for /, %25 for %, %23 for #, %3F for ?"
        )
    if not is_right:
        raise ValueError("it is not an address like 'postgresql://user@host:5432/name'")
    return value


def check_postgres_address(text: str) -> None:
    """See that a text is an address of PostgreSQL, as ``store.url`` takes it.

    Raises:
        ValueError: what is wrong, without the address, which may hold a password.
    """
    if _database_address(text) == "sqlite":
        raise ValueError("it is not an address like 'postgresql://user@host/name'")


def _has_raw_characters(address: SplitResult) -> bool:
    """Whether a password ends the part of an address that it belongs to, or cannot be decoded."""
    user, at, host = address.netloc.rpartition("@")
    after = address.path + address.fragment + (address.query if host and not at else "")
    return "@" in user + after or _BAD_PERCENT.search(address.netloc) is not None


def _web_address(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, 0
    extra = parts.query or parts.fragment or parts.username or parts.password if host else True
    if extra or parts.scheme not in ("http", "https") or port == 0 or not is_host(host):
        raise ValueError(f"{value!r} is not an address like 'https://mail.example.org/'")
    return value


def is_host(name: str | None) -> bool:
    """Whether it is a host name or an IP address."""
    try:
        read_host(name or "")
    except ValueError:
        return False
    return True


def read_host(name: str) -> str:
    """Return a host name in ASCII, or an IP address in its usual form.

    Raises:
        ValueError: it is neither.
    """
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    try:
        return to_ascii(name)
    except BadDomain as error:
        raise ValueError(str(error)) from None


def _listen_address(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(UNIX_PREFIX):
        if not value.startswith(UNIX_PREFIX + "/"):
            raise ValueError(f"{value!r}: a Unix socket is named by its whole path, 'unix:/...'")
        return value
    return _host_port(value)


def _mail_address(value: str) -> str:
    try:
        parse_address(value)
    except BadAddress:
        raise ValueError(f"{value!r} is not a mail address") from None
    return value


def _ip_address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address") from None


def _network(value: Any) -> Any:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError(
            f"{value!r} is not an address or a network, like '192.0.2.1' or '2001:db8::/64'"
        ) from None


def _from_folder(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return folder / value if folder is not None else value


def _secret(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, dict) or set(value) != {"file"} or not isinstance(value["file"], str):
        return value
    path = _from_folder(Path(value["file"]), info)
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"cannot read {path}: {reason}") from None


UNIX_PREFIX = "unix:"
DATABASE_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")
"""What the address of a PostgreSQL database begins with."""

Duration = Annotated[int, BeforeValidator(_duration), Kind("duration", format_duration)]
"""Milliseconds; written ``"5d"``."""
Size = Annotated[int, BeforeValidator(_size), Kind("size", format_size)]
"""Bytes; written ``"25MiB"``."""
DomainName = Annotated[str, BeforeValidator(_domain), Kind("domain name")]
"""ASCII form; written in either form."""
HostPort = Annotated[str, BeforeValidator(_host_port), Kind("ADDRESS:PORT")]
"""``"192.0.2.1:25"``, ``"[2001:db8::1]:25"``."""
ListenAddress = Annotated[
    str, BeforeValidator(_listen_address), Kind("ADDRESS:PORT, or unix:/PATH")
]
"""``"127.0.0.1:24"``, ``"unix:/run/zajil/lmtp"``."""
Network = Annotated[str, BeforeValidator(_network), Kind("address or network")]
"""``"192.0.2.1/32"``, ``"2001:db8::/64"``."""
FilePath = Annotated[Path, AfterValidator(_from_folder), Kind("path")]
"""A relative one is taken from the folder of the configuration file."""
Secret = Annotated[str, BeforeValidator(_secret), Kind("text, or { file = PATH } to keep it apart")]
"""Never printed; ``{ file = "..." }`` reads it from a file of its own."""
DatabaseAddress = Annotated[
    str,
    AfterValidator(_database_address),
    BeforeValidator(_secret),
    Kind("'sqlite', or a PostgreSQL address, or { file = PATH } to keep it apart"),
]
"""``"sqlite"``, ``"postgresql://user@host/name"``; a secret."""
WebAddress = Annotated[str, AfterValidator(_web_address), Kind("http:// or https:// address")]
"""``"https://mail.example.org/"``."""
HostName = Annotated[str, AfterValidator(read_host), Kind("host name or IP address")]
"""``"mail.example.org"`` in ASCII, ``"192.0.2.1"``."""
MailAddress = Annotated[str, AfterValidator(_mail_address), Kind("mail address")]
"""``"ops@example.org"``; in the form in which it was written."""
IpAddress = Annotated[str, AfterValidator(_ip_address), Kind("IP address")]
"""``"192.0.2.1"``, ``"2001:db8::1"``."""
