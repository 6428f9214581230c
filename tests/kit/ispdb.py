"""What Mozilla's database of mail providers (ISPDB) accepts as ``config-v1.1.xml``.

The rules are those of the validator of its repository (the crate ``autoconfig_validate`` of
github.com/thunderbird/autoconfig), and of the format's page in the wiki of Mozilla
(Thunderbird:Autoconfiguration:ConfigFileFormat), written anew here.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

_PLACES = {"%EMAILADDRESS%", "%EMAILLOCALPART%", "%EMAILDOMAIN%", "%REALNAME%"}
_SOCKETS = {"plain", "SSL", "STARTTLS"}
_AUTHENTICATION = {
    "password-cleartext",
    "password-encrypted",
    "NTLM",
    "GSSAPI",
    "client-IP-address",
    "TLS-client-cert",
    "OAuth2",
    "None",
}
_TYPES = {"incomingServer": {"imap", "pop3", "exchange"}, "outgoingServer": {"smtp"}}
_LEAVES = ("hostname", "port", "socketType", "username", "authentication")
_OWN = {"ewsURL": "exchange", "owaURL": "exchange", "pop3": "pop3"}
"""Elements that only one type of server may have."""


def problems_of(document: bytes) -> list[str]:
    """Return what is wrong with a document; empty: nothing."""
    if document.startswith(b"\xef\xbb\xbf"):
        return ["it begins with a byte order mark"]
    try:
        root = ET.fromstring(document)  # noqa: S314 - ours
    except ET.ParseError as error:
        return [f"it is not XML: {error}"]
    if root.tag != "clientConfig":
        return [f"the root is {root.tag}"]
    found = [] if root.get("version") == "1.1" else [f"version {root.get('version')}"]
    providers = root.findall("emailProvider")
    if len(providers) != 1:
        return [*found, f"{len(providers)} providers"]
    provider = providers[0]
    if not provider.get("id"):
        found.append("the provider has no id")
    found += [
        f"{name} is not there once"
        for name in ("displayName", "displayShortName")
        if len(provider.findall(name)) != 1 or not provider.findtext(name)
    ]
    found += [f"no {name}" for name in ("domain", *_TYPES) if not provider.findall(name)]
    for tag in _TYPES:
        for server in provider.findall(tag):
            found += _problems_of_server(server)
    return found


def _problems_of_server(server: ET.Element) -> list[str]:
    found = []
    kind = server.get("type") or ""
    if kind not in _TYPES[server.tag]:
        found.append(f"{server.tag} of type {kind!r}")
    texts = {}
    for name in _LEAVES:
        values = [one.text or "" for one in server.findall(name)]
        if len(values) != 1 or not values[0]:
            found.append(f"{kind}: {name} is not there once")
        texts[name] = values[0] if values else ""
    if not texts["port"].isdecimal() or not 0 < int(texts["port"]) < 65536:
        found.append(f"{kind}: port {texts['port']!r}")
    if texts["socketType"] not in _SOCKETS:
        found.append(f"{kind}: socketType {texts['socketType']!r}")
    if texts["authentication"] not in _AUTHENTICATION:
        found.append(f"{kind}: authentication {texts['authentication']!r}")
    places = set(re.findall("%[^%]*%", texts["username"]))
    found += [f"{kind}: username with {place}" for place in places - _PLACES]
    if not re.fullmatch(r"[a-z0-9.-]+", texts["hostname"]):
        found.append(f"{kind}: hostname {texts['hostname']!r}")
    found += [f"{kind}: has {one}" for one, of in _OWN.items() if of != kind and server.find(one)]
    return found
