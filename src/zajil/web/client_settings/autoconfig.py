"""``config-v1.1.xml``: the settings that Thunderbird and others look for. Pure.

The format is that of Mozilla's ISPDB (draft-ietf-mailmaint-autoconfig).
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from zajil.core.domain import to_unicode
from zajil.operations.mail_servers import MailServer


def make_autoconfig(servers: Sequence[MailServer], domain: str) -> bytes:
    """Return the description of a domain's servers.

    Args:
        servers: what mail programs connect to.
        domain: in A-labels; people see it in U-labels.
    """
    root = ET.Element("clientConfig", version="1.1")
    provider = ET.SubElement(root, "emailProvider", id=domain)
    ET.SubElement(provider, "domain").text = domain
    ET.SubElement(provider, "displayName").text = to_unicode(domain)
    ET.SubElement(provider, "displayShortName").text = to_unicode(domain)
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
