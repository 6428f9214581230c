"""Autodiscover: the settings that Outlook asks for ([MS-OXDSCLI], "plain old XML"). Pure.

Outlook posts an address and the schema of the answer that it can read. The one for programs of IMAP
and POP3 is answered; that of ActiveSync gets the error that makes phones try another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NoReturn
from xml.etree import ElementTree as ET
from xml.parsers import expat

from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.domain import BadDomain
from zajil.core.errors import Invalid
from zajil.operations.mail_servers import MailServer

MAX_REQUEST = 64 << 10
"""Octets of a request; real ones have 400."""
_MAX_DEPTH = 8
_MAX_TEXT = 1000
_SEPARATOR = "\n"

_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
_TYPES = {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}


class AutodiscoverError(Enum):
    """Why there are no settings: code and text ([MS-OXDSCLI] section 2.2.4.1.1.3.2)."""

    UNKNOWN_ADDRESS = (500, "The email address cannot be found.")
    INVALID_REQUEST = (600, "Invalid Request")
    OTHER_SCHEMA = (601, "Provider is not available")


class BadRequest(Invalid):
    """A request of autodiscover that cannot be answered."""

    def __init__(self, error: AutodiscoverError, is_mobile: bool = False) -> None:
        super().__init__(error.value[1])
        self.error = error
        self.is_mobile = is_mobile
        """The answer is for ActiveSync."""


@dataclass(frozen=True, slots=True)
class SettingsRequest:
    """Whose settings a program asks for."""

    typed: str
    """The address as it came."""
    address: Address


def read_request(body: bytes) -> SettingsRequest:
    """Read what a program posted.

    Security: a DOCTYPE ends the reading at once, so that there are no entities to expand.

    Raises:
        BadRequest: not XML, an unknown schema, or no address.
    """
    found = _read_leaves(body)
    schema = found.get("AcceptableResponseSchema", "")
    if schema != _OUTLOOK:
        error = AutodiscoverError.OTHER_SCHEMA if schema else AutodiscoverError.INVALID_REQUEST
        raise BadRequest(error, is_mobile=schema == _MOBILE)
    typed = found.get("EMailAddress", "")
    try:
        return SettingsRequest(typed, parse_address(typed))
    except (BadAddress, BadDomain):
        raise BadRequest(AutodiscoverError.INVALID_REQUEST) from None


def make_settings(servers: Sequence[MailServer], request: SettingsRequest) -> bytes:
    """Return the settings of an address, servers in the order of preference."""
    root = ET.Element("Autodiscover", xmlns=_RESPONSE)
    response = ET.SubElement(root, "Response", xmlns=_OUTLOOK)
    user = ET.SubElement(response, "User")
    ET.SubElement(user, "DisplayName").text = request.address.unicode
    account = ET.SubElement(response, "Account")
    ET.SubElement(account, "AccountType").text = "email"
    ET.SubElement(account, "Action").text = "settings"
    for one in servers:
        protocol = ET.SubElement(account, "Protocol")
        leaves = {
            "Type": _TYPES[one.kind],
            "Server": one.host,
            "Port": str(one.port),
            "DomainRequired": "off",
            "LoginName": request.typed,
            "SPA": "off",
            "SSL": "on",
            "Encryption": "SSL" if one.implicit_tls else "TLS",
            "AuthRequired": "on",
        }
        if one.kind == "smtp":
            leaves |= {"UsePOPAuth": "on", "SMTPLast": "off"}
        for name, text in leaves.items():
            ET.SubElement(protocol, name).text = text
    return _written(root)


def make_error(error: AutodiscoverError, now_ms: int, *, is_mobile: bool = False) -> bytes:
    """Return the answer of a request that cannot be answered with settings."""
    code, text = error.value
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    root = ET.Element("Autodiscover", xmlns=_RESPONSE)
    response = ET.SubElement(root, "Response", xmlns=_MOBILE if is_mobile else _RESPONSE)
    found = ET.SubElement(
        response, "Error", Time=now.strftime("%H:%M:%S.%f"), Id=str(now_ms % 10_000_000_000)
    )
    ET.SubElement(found, "ErrorCode").text = str(code)
    ET.SubElement(found, "Message").text = text
    ET.SubElement(found, "DebugData")
    return _written(root)


def make_json(protocol: str, url: str) -> tuple[int, dict[str, str]]:
    """Return status and members of the answer to Autodiscover V2, which says where V1 is.

    Args:
        protocol: that the program asks for; ``AutodiscoverV1`` in any case is the only one here.
        url: of V1.
    """
    if protocol.lower() == "autodiscoverv1":
        return 200, {"Protocol": protocol, "Url": url}
    text = "The given protocol value is invalid. Supported values are 'AutodiscoverV1'."
    return 400, {"ErrorCode": "InvalidProtocol", "ErrorMessage": text}


def _read_leaves(body: bytes) -> dict[str, str]:
    """Return the texts of the elements of ``Request`` by their names, without namespaces."""
    leaves: dict[str, str] = {}
    path: list[str] = []
    text: list[str] = []

    def start(name: str, _attributes: Any) -> None:
        path.append(name.rpartition(_SEPARATOR)[2])
        text.clear()
        if len(path) > _MAX_DEPTH:
            refuse()

    def characters(data: str) -> None:
        text.append(data)
        if sum(map(len, text)) > _MAX_TEXT:
            refuse()

    def end(_name: str) -> None:
        name = path.pop()
        if path == ["Autodiscover", "Request"]:
            leaves.setdefault(name, "".join(text).strip())
        text.clear()

    def refuse(*_arguments: Any) -> NoReturn:
        raise BadRequest(AutodiscoverError.INVALID_REQUEST)

    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    if len(body) > MAX_REQUEST:
        refuse()
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError):  # also encodings that nobody knows
        refuse()
    return leaves


def _written(root: ET.Element) -> bytes:
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text
