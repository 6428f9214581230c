"""Files that set a mail program up."""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from zajil.operations.mail_servers import MailServer

_NAMESPACE = uuid.UUID("5b0f4c1e-3d0a-4f0e-9a57-6a1f5a6f2f10")
"""Of the identifiers in configuration profiles: the same account has the same ones."""


def make_profile(
    servers: Sequence[MailServer], *, address: str, login: str, name: str
) -> bytes | None:
    """Return a configuration profile of Apple's (``.mobileconfig``), unsigned, without a password.

    Returns:
        ``None``: there are not both IMAP and SMTP.
    """
    by_kind = {one.kind: one for one in servers}
    imap, smtp = by_kind.get("imap"), by_kind.get("smtp")
    if imap is None or smtp is None:
        return None
    identifier = ".".join(reversed(imap.host.split(".")))
    mail = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.mail.{login}",
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, f"mail {imap.host} {login}")),
        "PayloadDisplayName": address,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": address,
        "EmailAccountName": name,
        "EmailAddress": address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": imap.host,
        "IncomingMailServerPortNumber": imap.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": login,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": smtp.host,
        "OutgoingMailServerPortNumber": smtp.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": login,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.{login}",
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, f"profile {imap.host} {login}")),
        "PayloadDisplayName": address,
        "PayloadDescription": imap.host,
        "PayloadContent": [mail],
    }
    return plistlib.dumps(profile)


def make_autoconfig(servers: Sequence[MailServer], domain: str) -> bytes:
    """Return the description of a domain's servers that Thunderbird and others look for.

    The format is ``config-v1.1.xml`` of Mozilla's ISPDB.
    """
    root = ET.Element("clientConfig", version="1.1")
    provider = ET.SubElement(root, "emailProvider", id=domain)
    ET.SubElement(provider, "domain").text = domain
    ET.SubElement(provider, "displayName").text = domain
    ET.SubElement(provider, "displayShortName").text = domain
    for one in servers:
        tag = "outgoingServer" if one.kind == "smtp" else "incomingServer"
        server = ET.SubElement(provider, tag, type=one.kind)
        ET.SubElement(server, "hostname").text = one.host
        ET.SubElement(server, "port").text = str(one.port)
        ET.SubElement(server, "socketType").text = "SSL" if one.implicit_tls else "STARTTLS"
        ET.SubElement(server, "authentication").text = "password-cleartext"
        ET.SubElement(server, "username").text = "%EMAILADDRESS%"
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text
