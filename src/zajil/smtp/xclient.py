"""XCLIENT: a proxy of ours tells whom it speaks for (Postfix, XCLIENT_README).

Security: whoever may say this may be anybody. It is permitted by an ``Offer`` that is given to
named peers only.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Literal, cast

from zajil.smtp import grammar, refusals
from zajil.smtp.command import UnknownCommand, Xclient
from zajil.smtp.refusals import CommandError
from zajil.smtp.xtext import BadXtext, decode_xtext

ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
"""As EHLO announces them."""
_MAX_VALUE = 255
"""Characters of a value, as in Postfix."""
_IPV6 = "IPV6:"


def parse_xclient(argument: str) -> Xclient:
    """Parse ``NAME=spike.example ADDR=192.0.2.1``.

    Raises:
        CommandError: 501 5.5.4: no attribute, an unknown or repeated one, or a bad value.
    """
    values: dict[str, str | UnknownCommand] = {}
    for word in argument.split():
        name, equals, text = word.partition("=")
        name = name.upper() if name.isascii() else ""
        if not equals or name not in ATTRIBUTES or name in values:
            raise CommandError(refusals.XCLIENT_SYNTAX)
        values[name] = _decode(text)
    if not values:
        raise CommandError(refusals.XCLIENT_SYNTAX)
    return Xclient(
        name=_host_name(values.get("NAME")),
        address=_address(values.get("ADDR")),
        port=_port(values.get("PORT")),
        protocol=_protocol(values.get("PROTO")),
        client_name=_host_name(values.get("HELO")),
        login=values.get("LOGIN"),
        local_address=_address(values.get("DESTADDR")),
        local_port=_port(values.get("DESTPORT")),
    )


def _decode(text: str) -> str | UnknownCommand:
    upper = text.upper() if text.isascii() else ""
    for unknown in UnknownCommand:
        if upper == unknown.value:
            return unknown
    try:
        value = decode_xtext(text)
    except BadXtext:
        value = ""
    if not 0 < len(value) <= _MAX_VALUE:
        raise CommandError(refusals.XCLIENT_SYNTAX)
    return value


def _host_name(value: str | UnknownCommand | None) -> str | UnknownCommand | None:
    if isinstance(value, str) and not grammar.CLIENT_NAME.fullmatch(value):
        raise CommandError(refusals.XCLIENT_SYNTAX)
    return value


def _address(
    value: str | UnknownCommand | None,
) -> IPv4Address | IPv6Address | UnknownCommand | None:
    if not isinstance(value, str):
        return value
    try:
        if value[: len(_IPV6)].upper() == _IPV6:
            address = IPv6Address(value[len(_IPV6) :])
            if address.scope_id is None:
                return address
        elif value.isascii():
            return IPv4Address(value)
    except ValueError:
        pass
    raise CommandError(refusals.XCLIENT_SYNTAX)


def _port(value: str | UnknownCommand | None) -> int | UnknownCommand | None:
    if not isinstance(value, str):
        return value
    if not (value.isascii() and value.isdecimal() and len(value) <= 5 and int(value) <= 65535):
        raise CommandError(refusals.XCLIENT_SYNTAX)
    return int(value)


def _protocol(value: str | UnknownCommand | None) -> Literal["SMTP", "ESMTP"] | None:
    if value is None:
        return None
    word = value.upper() if isinstance(value, str) and value.isascii() else ""
    if word not in ("SMTP", "ESMTP"):
        raise CommandError(refusals.XCLIENT_SYNTAX)
    return cast(Literal["SMTP", "ESMTP"], word)
