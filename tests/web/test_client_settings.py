"""Mail programs find their settings: each asks as it really does, and understands the answer."""

from __future__ import annotations

import asyncio
import os
import plistlib
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from kit.certificates import TestAuthority
from kit.clock import FakeClock
from kit.ispdb import problems_of
from kit.site import PASSWORD, Site, visiting
from kit.store import NOW_MS
from zajil.config.options import Configuration
from zajil.config.options_public import ClientOptions
from zajil.config.options_server import ListenOptions, ServerOptions
from zajil.core.address import parse_address
from zajil.core.service import Service
from zajil.login.service import LoginService
from zajil.operations.dns_advice import records_for
from zajil.operations.mail_servers import MailServer, find_servers, offered_ports
from zajil.store.engine.open import Store
from zajil.tls.context import CertificateAndKey, read_pair
from zajil.tls.self_signed import make_self_signed
from zajil.web.client_settings.apple_profile import can_sign, make_profile, sign_profile
from zajil.web.client_settings.autoconfig import make_autoconfig
from zajil.web.client_settings.autodiscover import BadRequest, read_request

SERVERS = (
    MailServer("imap", "mx.north.test", 993, True),
    MailServer("pop3", "mx.north.test", 995, True),
    MailServer("smtp", "mx.north.test", 587, False),
)
RESPONSE = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
OUTLOOK_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
MOBILE_RESPONSE = (
    "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
)
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006"
IDN = "سلمى@زاجل.test"


def pox(address: str, schema: str = OUTLOOK_RESPONSE, request: str = OUTLOOK) -> str:
    """Return what Outlook posts; Thunderbird sends the same with other spaces."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{request}"><Request>'
        f"<EMailAddress>{address}</EMailAddress>"
        f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
        "</Request></Autodiscover>"
    )


class Program:
    """A mail program that looks for its settings."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def ask(self, url: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Ask as a program does: without cookies, without following redirects."""
        transport = httpx.ASGITransport(self._site.application)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, url, **options)

    async def post(self, host: str, path: str, body: str) -> httpx.Response:
        """Post to autodiscover with the fields of Thunderbird and Outlook."""
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        return await self.ask(f"https://{host}{path}", "POST", content=body, headers=headers)


def with_program(store: Store, scenario: Callable[[Program], Awaitable[None]]) -> None:
    async def run() -> None:
        async with visiting(store, servers=SERVERS) as site:
            await scenario(Program(site))

    asyncio.run(run())


# ---- autoconfig ----------------------------------------------------------------------------------

QUERY = f"emailaddress={quote('basim@north.test')}"
THUNDERBIRD = (
    f"https://autoconfig.north.test/mail/config-v1.1.xml?{QUERY}",
    f"https://north.test/.well-known/autoconfig/mail/config-v1.1.xml?{QUERY}",
    "https://autoconfig.north.test/mail/config-v1.1.xml",
    "https://north.test/.well-known/autoconfig/mail/config-v1.1.xml",
)
"""In its order of preference, with ``fetchFromISP.sendEmailAddress`` and without. K-9 Mail,
FairEmail, KMail and Delta Chat ask for the same."""
OTHERS = (
    # Evolution and GNOME Online Accounts
    "https://autoconfig.north.test/mail/config-v1.1.xml?emailaddress=EVOLUTIONUSER%40north.test"
    "&emailmd5=46865a3ba18ca94e2c98f15b8cf14125",
    # Nextcloud Mail does not escape the address.
    "https://autoconfig.north.test/mail/config-v1.1.xml?emailaddress=basim@north.test",
    f"https://mx.north.test/mail/config-v1.1.xml?{QUERY}",
    f"https://mx.north.test/.well-known/autoconfig/mail/config-v1.1.xml?{QUERY}",
    "https://mx.north.test/.well-known/autoconfig/mail/config-v1.1.xml",
)


@pytest.mark.parametrize("url", [*THUNDERBIRD, *OTHERS])
def test_programs_find_the_document_of_mozilla(sqlite_store: Store, url: str) -> None:
    async def scenario(program: Program) -> None:
        found = await program.ask(url)
        assert found.status_code == 200
        assert found.headers["content-type"].startswith("text/xml")
        assert "set-cookie" not in found.headers
        assert problems_of(found.content) == []
        root = ET.fromstring(found.content)  # noqa: S314 - ours
        assert [one.text for one in root.iter("domain")] == ["north.test"]
        assert [one.get("type") for one in root.iter("incomingServer")] == ["imap", "pop3"]
        assert [one.text for one in root.iter("port")] == ["993", "995", "587"]
        assert [one.text for one in root.iter("socketType")] == ["SSL", "SSL", "STARTTLS"]
        assert {one.text for one in root.iter("username")} == {"%EMAILADDRESS%"}

    with_program(sqlite_store, scenario)


def test_a_domain_of_arabic_letters_is_shown_to_people(sqlite_store: Store) -> None:
    domain = parse_address(IDN).domain

    async def scenario(program: Program) -> None:
        for url in (
            f"https://autoconfig.{domain}/mail/config-v1.1.xml",
            f"https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={quote(IDN)}",
        ):
            found = await program.ask(url)
            assert problems_of(found.content) == []
            root = ET.fromstring(found.content)  # noqa: S314 - ours
            assert [one.text for one in root.iter("displayName")] == ["زاجل.test"]
            assert [one.text for one in root.iter("domain")] == [domain]

    with_program(sqlite_store, scenario)


@pytest.mark.parametrize(
    "url",
    [
        "https://autoconfig.elsewhere.test/mail/config-v1.1.xml",
        "https://mx.north.test/mail/config-v1.1.xml?emailaddress=a@elsewhere.test",
        "https://autoconfig.north.test/mail/config-v1.1.xml?emailaddress=a@sub.north.test",
        "https://autoconfig.north.test/mail/config-v1.1.xml?emailaddress=" + "x" * 5000,
        "https://autoconfig.north.test/mail/config-v1.1.xml?emailaddress=%3Ca%3E@north.test",
        "https://autoconfig.north.test/mail/config-v1.1.xml?emailaddress=a%00@north.test",
        "https://autoconfig.north.test/mail/config-v1.1.xml?emailaddress=north.test",
        "https://autoconfig.north.test/MAIL/config-v1.1.xml",
        "https://203.0.113.9/mail/config-v1.1.xml",
    ],
)
def test_what_is_not_ours_has_no_settings(sqlite_store: Store, url: str) -> None:
    async def scenario(program: Program) -> None:
        assert (await program.ask(url)).status_code == 404

    with_program(sqlite_store, scenario)


def test_nobody_learns_who_has_an_account(sqlite_store: Store) -> None:
    async def scenario(program: Program) -> None:
        answers: dict[str, set[bytes]] = {}
        for name in ("basim", "nobody"):
            address = f"{name}@north.test"
            query = f"emailaddress={quote(address)}"
            base = "https://autoconfig.north.test"
            documents = [
                await program.ask(f"{base}/mail/config-v1.1.xml?{query}"),
                await program.ask(f"{base}/email.mobileconfig?{query}"),
                await program.post(
                    "autodiscover.north.test", "/autodiscover/autodiscover.xml", pox(address)
                ),
            ]
            for number, one in enumerate(documents):
                assert one.status_code == 200
                plain = one.content.replace(name.encode(), b"?")
                if number == 1:  # identifiers are made from the address
                    profile = plistlib.loads(one.content)
                    plain = b" ".join(key.encode() for key in profile["PayloadContent"][0])
                answers.setdefault(str(number), set()).add(plain)
        assert [len(one) for one in answers.values()] == [1, 1, 1]

    with_program(sqlite_store, scenario)


# ---- autodiscover --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("autodiscover.north.test", "/autodiscover/autodiscover.xml"),
        ("autodiscover.north.test", "/Autodiscover/Autodiscover.xml"),
        ("autodiscover.north.test", "/AutoDiscover/AutoDiscover.xml"),
        ("north.test", "/autodiscover/autodiscover.xml"),
        ("mx.north.test", "/AUTODISCOVER/AUTODISCOVER.XML"),
    ],
)
def test_outlook_gets_its_settings(sqlite_store: Store, host: str, path: str) -> None:
    async def scenario(program: Program) -> None:
        found = await program.post(host, path, pox("basim@north.test"))
        assert found.status_code == 200
        assert found.headers["content-type"].startswith("text/xml")
        root = ET.fromstring(found.content)  # noqa: S314 - ours
        space = f"{{{OUTLOOK_RESPONSE}}}"
        assert root.tag == f"{RESPONSE}Autodiscover"
        assert root.findtext(f".//{space}User/{space}DisplayName") == "basim@north.test"
        assert root.findtext(f".//{space}Account/{space}Action") == "settings"
        protocols = [
            {leaf.tag.removeprefix(space): leaf.text for leaf in one}
            for one in root.iter(f"{space}Protocol")
        ]
        assert [one["Type"] for one in protocols] == ["IMAP", "POP3", "SMTP"]
        assert [one["Port"] for one in protocols] == ["993", "995", "587"]
        assert [one["Encryption"] for one in protocols] == ["SSL", "SSL", "TLS"]
        assert {one["LoginName"] for one in protocols} == {"basim@north.test"}
        assert {one["Server"] for one in protocols} == {"mx.north.test"}

    with_program(sqlite_store, scenario)


def error_of(answer: httpx.Response, space: str) -> str | None:
    assert answer.status_code == 200
    root = ET.fromstring(answer.content)  # noqa: S314 - ours
    found = root.find(f"{{{space}}}Response/{{{space}}}Error")
    assert found is not None, answer.text
    assert found.get("Time")
    return found.findtext(f"{{{space}}}ErrorCode")


def test_phones_are_told_that_there_is_no_activesync(sqlite_store: Store) -> None:
    async def scenario(program: Program) -> None:
        body = pox("basim@north.test", MOBILE_RESPONSE, MOBILE)
        path = "/autodiscover/autodiscover.xml"
        answer = await program.post("autodiscover.north.test", path, body)
        assert error_of(answer, MOBILE_RESPONSE) == "601"

    with_program(sqlite_store, scenario)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (pox("a@elsewhere.test"), "500"),
        (pox("a@sub.north.test"), "500"),
        (pox("basim@north.test", "http://other.test/schema"), "601"),
        (pox("not an address"), "600"),
        (pox(""), "600"),
        (pox("basim@north.test", ""), "600"),
        ("", "600"),
        ("<", "600"),
        ("<Autodiscover/>", "600"),
        ("\0" * 300, "600"),
        ('<?xml version="1.0" encoding="odd"?><Autodiscover/>', "600"),
        (pox("<b>basim@north.test</b>"), "600"),
        (pox("x" * 70_000), "600"),
        ("<a>" * 50_000, "600"),
        (
            '<!DOCTYPE a [<!ENTITY b "basim@north.test">]>'
            + pox("&b;").replace('<?xml version="1.0" encoding="utf-8"?>', ""),
            "600",
        ),
        (
            '<!DOCTYPE a SYSTEM "file:///etc/passwd">'
            + pox("basim@north.test").replace('<?xml version="1.0" encoding="utf-8"?>', ""),
            "600",
        ),
    ],
)
def test_a_bad_request_gets_an_error_that_outlook_reads(
    sqlite_store: Store, body: str, code: str
) -> None:
    async def scenario(program: Program) -> None:
        path = "/autodiscover/autodiscover.xml"
        answer = await program.post("autodiscover.north.test", path, body)
        assert error_of(answer, RESPONSE.strip("{}")) == code

    with_program(sqlite_store, scenario)


def test_a_request_without_a_body_gets_an_error(sqlite_store: Store) -> None:
    async def scenario(program: Program) -> None:
        url = "https://autodiscover.north.test/Autodiscover/Autodiscover.xml"
        assert error_of(await program.ask(url), RESPONSE.strip("{}")) == "600"

    with_program(sqlite_store, scenario)


@pytest.mark.parametrize(
    "path",
    [
        "/autodiscover/autodiscover.json?Email=basim%40north.test&Protocol=AutodiscoverV1",
        "/autodiscover/autodiscover.json?Email=a%40north.test&Protocol=Autodiscoverv1&RedirectCount=1",
        "/autodiscover/autodiscover.json/v1.0/basim%40north.test?Protocol=AutodiscoverV1",
        "/Autodiscover/Autodiscover.json?email=basim%40north.test&protocol=autodiscoverv1",
    ],
)
def test_outlook_is_told_where_the_service_is(sqlite_store: Store, path: str) -> None:
    async def scenario(program: Program) -> None:
        found = await program.ask(f"https://autodiscover.north.test{path}")
        assert found.status_code == 200
        answer = found.json()
        assert answer["Protocol"].lower() == "autodiscoverv1"
        assert answer["Url"] == "https://mx.north.test/autodiscover/autodiscover.xml"
        other = path.replace("utodiscoverV1", "ctiveSync").replace("utodiscoverv1", "ctiveSync")
        refused = await program.ask(f"https://autodiscover.north.test{other}")
        assert refused.status_code == 400
        assert refused.json()["ErrorCode"] == "InvalidProtocol"

    with_program(sqlite_store, scenario)


def test_no_bytes_make_the_reader_fail() -> None:
    body = pox("basim@north.test").encode()
    assert read_request(body).typed == "basim@north.test"
    wrong = 0
    for place in range(0, len(body), 7):
        for other in (b"\0", b"<", b"\xff", b"&", b""):
            try:
                read_request(body[:place] + other + body[place + 1 :])
            except BadRequest:
                wrong += 1
    assert wrong > 100


# ---- Apple ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["emailaddress", "email"])
def test_iphones_load_a_profile_without_a_log_in(sqlite_store: Store, name: str) -> None:
    async def scenario(program: Program) -> None:
        url = f"https://mx.north.test/email.mobileconfig?{name}=basim%40north.test"
        found = await program.ask(url)
        assert found.headers["content-type"] == "application/x-apple-aspen-config"
        profile = plistlib.loads(found.content)
        (mail,) = profile["PayloadContent"]
        assert mail["PayloadType"] == "com.apple.mail.managed"
        assert mail["EmailAddress"] == mail["IncomingMailServerUsername"] == "basim@north.test"
        assert (mail["IncomingMailServerPortNumber"], mail["OutgoingMailServerPortNumber"]) == (
            993,
            587,
        )
        assert "EmailAccountName" not in mail
        assert "IncomingPassword" not in mail
        for odd in ("", "x", "basim@elsewhere.test"):
            url = f"https://mx.north.test/email.mobileconfig?{name}={odd}"
            assert (await program.ask(url)).status_code == 404

    with_program(sqlite_store, scenario)


@pytest.mark.parametrize("address", ["basim@north.test", IDN])
def test_the_user_names_in_settings_log_in(sqlite_store: Store, address: str) -> None:
    """A program logs in with the address that it was given, an Arabic one too."""

    async def scenario(program: Program) -> None:
        query = f"emailaddress={quote(address)}"
        found = await program.ask(f"https://mx.north.test/email.mobileconfig?{query}")
        (mail,) = plistlib.loads(found.content)["PayloadContent"]
        path = "/autodiscover/autodiscover.xml"
        answer = await program.post("autodiscover.north.test", path, pox(address))
        root = ET.fromstring(answer.content)  # noqa: S314 - ours
        names = {one.text or "" for one in root.iter(f"{{{OUTLOOK_RESPONSE}}}LoginName")}
        login = LoginService(sqlite_store, FakeClock(NOW_MS), os.urandom, free_failures=0)
        for name in (mail["IncomingMailServerUsername"], *names):
            peer, service = "192.0.2.7", Service.IMAPS
            account = await login.log_in(name, PASSWORD, peer=peer, service=service)
            assert account is not None
            assert account.address.unicode == address

    with_program(sqlite_store, scenario)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


def test_a_signed_profile_is_verified_by_openssl(authority: TestAuthority, tmp_path: Path) -> None:
    pair = read_pair(*authority.issue("mx.north.test"))
    chain = CertificateAndKey(pair.certificate + authority.ca_file.read_bytes(), pair.key)
    profile = make_profile(SERVERS, address=parse_address(IDN), login=IDN)
    assert profile is not None
    assert can_sign(chain)
    signed = tmp_path / "mail.mobileconfig"
    signed.write_bytes(sign_profile(profile, chain))
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", str(signed)]
    options = ["-CAfile", str(authority.ca_file), "-purpose", "any", "-binary"]
    done = subprocess.run([*command, *options], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == profile
    signed.write_bytes(signed.read_bytes().replace(b"mx.north.test", b"mx.evil_.test"))
    assert subprocess.run([*command, *options], capture_output=True, check=False).returncode != 0


def test_what_cannot_sign_does_not(authority: TestAuthority) -> None:
    pair = read_pair(*authority.issue("b.north.test"))
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert not can_sign(make_self_signed(("mx.north.test",), 1_700_000_000_000))
    assert not can_sign(CertificateAndKey(pair.certificate, other))
    assert not can_sign(CertificateAndKey(pair.certificate, b"no key"))
    assert not can_sign(CertificateAndKey(b"no certificate", pair.key))
    assert sign_profile(b"profile", CertificateAndKey(b"no certificate", pair.key)) == b"profile"


# ---- which servers -------------------------------------------------------------------------------


def configured(ports: dict[str, int], hostname: str | None = None, **listen: Any) -> Configuration:
    return Configuration(
        server=ServerOptions(hostname="mx.north.test", data_dir=Path("data")),
        listen=ListenOptions(**listen),
        clients=ClientOptions(hostname=hostname, ports=ports),
    )


def test_settings_name_the_ports_as_programs_reach_them() -> None:
    plain = configured({})
    assert find_servers(plain) == (
        MailServer("imap", "mx.north.test", 993, True),
        MailServer("pop3", "mx.north.test", 995, True),
        MailServer("smtp", "mx.north.test", 465, True),
    )
    forwarded = configured(
        {"imaps": 993, "submissions": 465, "pop3s": 0, "pop3": 0},
        "mail.north.test",
        imaps=["0.0.0.0:10993"],
        submissions=[],
    )
    assert find_servers(forwarded) == (
        MailServer("imap", "mail.north.test", 993, True),
        MailServer("smtp", "mail.north.test", 465, True),
    )
    starttls = configured({}, imaps=[], pop3s=[], pop3=[], submissions=[])
    assert find_servers(starttls) == (
        MailServer("imap", "mx.north.test", 143, False),
        MailServer("smtp", "mx.north.test", 587, False),
    )
    assert offered_ports(plain, {"imaps": 4711, "web": 80}) == {Service.IMAPS: 4711}


@pytest.mark.parametrize("ports", [{}, {"imaps": 10_993, "submissions": 0}])
def test_srv_records_lead_to_the_same_servers(ports: dict[str, int]) -> None:
    """Programs that know neither document ask DNS (RFC 6186); the lowest number comes first."""
    configuration = configured(ports, "mail.north.test")
    kinds = {"_imap": "imap", "_pop3": "pop3", "_submission": "smtp"}
    records = records_for("north.test", configuration, ())
    rows = [(one.name.split(".")[0], one.value.split()) for one in records if one.type == "SRV"]
    found: dict[str, MailServer] = {}
    for name, (_, _, port, host) in sorted(rows, key=lambda row: int(row[1][0])):
        kind = kinds.get(name.removesuffix("s"))
        if kind is not None and int(port):
            server = MailServer(kind, host.rstrip("."), int(port), name.endswith("s"))
            found.setdefault(kind, server)
    assert set(found.values()) == set(find_servers(configuration))


def test_the_checker_of_documents_sees_mistakes() -> None:
    good = make_autoconfig(SERVERS, "north.test")
    assert problems_of(good) == []
    for old, new in (
        (b'version="1.1"', b'version="1.0"'),
        (b'id="north.test"', b""),
        (b"<domain>north.test</domain>", b""),
        (b">SSL<", b">TLS<"),
        (b'type="imap"', b'type="jmap"'),
        (b"%EMAILADDRESS%", b"%ADDRESS%"),
        (b"password-cleartext", b"plain"),
        (b">993<", b">none<"),
        (b"<hostname>mx.north.test</hostname>", b""),
        (b"</clientConfig>", b""),
        (b"<?xml", b"\xef\xbb\xbf<?xml"),
    ):
        assert old in good
        assert problems_of(good.replace(old, new)), old
