"""``zajil setup --web``: one browser, one time, the same questions as on a terminal."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from kit.clock import FakeClock
from kit.zone import Zone, ZoneResolver
from zajil.config.load import load_configuration
from zajil.operations.dns_check import CheckedRecord, check_dns
from zajil.operations.dns_record import DnsRecord
from zajil.operations.probe import Probe
from zajil.operations.setup_answers import Machine
from zajil.operations.setup_plan import SetupPlan
from zajil.web.setup_app import LIFETIME_MS, SetupPages, SetupTools

NOW_MS = 1_795_462_000_000
PASSWORD = "correct horse battery"
RISKY = Probe(
    "Disk", "problem", "Cannot write to {folder}: {reason}.", {"folder": "<b>", "reason": "x"}
)


class Setup:
    """The pages, and a browser."""

    def __init__(self, folder: Path, zone: Zone, probes: Sequence[Probe]) -> None:
        self.folder = folder
        self.clock = FakeClock(NOW_MS)
        self.ended = False
        self.probed: list[SetupPlan] = []

        async def probe(plan: SetupPlan) -> Sequence[Probe]:
            self.probed.append(plan)
            return probes

        async def check(records: Sequence[DnsRecord]) -> Sequence[CheckedRecord]:
            return await check_dns(records, ZoneResolver(zone).resolve)

        def end() -> None:
            self.ended = True

        tools = SetupTools(
            machine=Machine(False, False, False, folder.parent),
            probe=probe,
            check=check,
            clock=self.clock,
            random=os.urandom,
            end=end,
        )
        self.pages = SetupPages(tools)
        self.application = self.pages.application(["setup.test"])

    @asynccontextmanager
    async def browser(self, language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.application)
        headers = {"accept-language": language}
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://setup.test",
            headers=headers,
        ) as client:
            yield client

    def answers(self, **changed: str) -> dict[str, str]:
        return {
            "domain": "north.test",
            "folder": str(self.folder),
            "addresses": "127.0.0.1",
            "tls": "self-signed",
            "sending": "direct",
            "database": "sqlite",
            "password": PASSWORD,
            "again": PASSWORD,
            **changed,
        }


def test_a_server_is_set_up_and_its_records_are_ticked(tmp_path: Path) -> None:
    zone: Zone = {"north.test": {"MX": ["10 mail.north.test"]}}
    setup = Setup(tmp_path / "mail", zone, [RISKY])

    async def scenario() -> None:
        async with setup.browser() as browser:
            opened = await browser.get(f"/start/{setup.pages.token}")
            assert (opened.status_code, opened.headers["location"]) == (303, "/")
            assert "HttpOnly" in opened.headers["set-cookie"]
            assert "SameSite=strict" in opened.headers["set-cookie"]
            page = (await browser.get("/")).text
            assert "Mail domain" in page
            assert "System user" not in page  # not root
            tested = await browser.post("/", data=setup.answers(), follow_redirects=True)
            assert tested.status_code == 200
            assert "There are problems." in tested.text
            assert "&lt;b&gt;" in tested.text
            assert not setup.folder.exists()
            written = await browser.post("/write")
            assert (written.status_code, written.headers["location"]) == (303, "/done")
            done = await browser.get("/done?watch=1")
            assert "admin@north.test" in done.text
            assert done.text.count('<span class="state good">found</span>') == 1
            assert done.headers["refresh"] == "15"
            assert PASSWORD not in done.text
            assert (await browser.get("/")).headers["location"] == "/done"
            assert (await browser.post("/write")).status_code == 403
            assert not setup.ended
            assert "Setup has ended" in (await browser.post("/end")).text
        assert setup.ended

    asyncio.run(scenario())
    assert setup.probed[0].domain == "north.test"
    configuration = load_configuration(setup.folder / "zajil.toml")
    assert configuration.server.hostname == "mail.north.test"
    assert configuration.listen.https == ("127.0.0.1:443",)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"domain": "localhost"}, "This is not a name that others can look up in DNS."),
        ({"hostname": "a..b"}, "This is not a name that others can look up in DNS."),
        ({"again": "other"}, "These are two different passwords."),
        ({"password": "short", "again": "short"}, "Choose a longer or less usual password"),
        ({"password": "admin12345", "again": "admin12345"}, "Choose a longer or less usual"),
        ({"password": "a" * 1025, "again": "a" * 1025}, "Choose a longer or less usual"),
        ({"admin": "@"}, "This is not an email address."),
        ({"tls": "files", "certificate": "/none.pem"}, "No such file or directory"),
        ({"tls": "acme", "acme_contact": "x"}, "This is not an email address."),
        ({"sending": "smarthost"}, "An answer is needed."),
        ({"tls": "other"}, "Choose one of these: "),
        ({"addresses": "mail.north.test"}, "is not an IP address."),
    ],
)
def test_a_bad_answer_is_explained_beside_its_question(
    changed: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    setup = Setup(tmp_path / "mail", {}, [])

    async def scenario() -> None:
        async with setup.browser() as browser:
            await browser.get(f"/start/{setup.pages.token}")
            page = await browser.post("/", data=setup.answers(**changed), follow_redirects=True)
            assert page.status_code == 422
            assert sentence in page.text
            assert PASSWORD not in page.text
            assert (
                f'value="{next(iter(changed.values()))}"' in page.text
                or "again" in changed
                or "password" in changed
                or ("tls" in changed or "sending" in changed)
            )
            assert setup.probed == []
            assert (await browser.post("/write")).status_code == 403

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"sending": "smarthost"}, "هذا السؤال يحتاج إلى إجابة."),
        ({"tls": "files", "certificate": "/none.pem"}, "لا يوجد ملف أو مجلد بهذا الاسم"),
        ({"again": "other"}, "كلمتا المرور مختلفتان."),
        ({"domain": "localhost"}, "التفاصيل بالإنجليزية:"),
    ],
)
def test_the_cause_is_in_the_language_of_the_page(
    changed: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    """What only the program can say is marked as English, for screen readers too."""
    setup = Setup(tmp_path / "mail", {}, [])

    async def scenario() -> None:
        async with setup.browser("ar") as browser:
            await browser.get(f"/start/{setup.pages.token}")
            answers = setup.answers(**changed)
            page = (await browser.post("/", data=answers, follow_redirects=True)).text
            assert sentence in page
            notice = re.findall(r'role="alert"[^>]*>(.*?)</p>', page)[0]
            rest = re.sub(r'<bdi lang="en".*?</bdi>|<[^>]*>|/none.pem', "", notice)
            assert not re.search("[a-z]{4}", rest)

    asyncio.run(scenario())


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_elsewhere_cannot_answer(site: str, tmp_path: Path) -> None:
    """The browser sends the cookie with forms of all ports of this machine."""
    setup = Setup(tmp_path / "mail", {}, [])

    async def scenario() -> None:
        async with setup.browser() as browser:
            await browser.get(f"/start/{setup.pages.token}")
            await browser.post("/", data=setup.answers())
            elsewhere = {"sec-fetch-site": site}
            for path in ("/", "/write", "/end"):
                answer = await browser.post(path, data=setup.answers(), headers=elsewhere)
                assert answer.status_code == 403
            assert not setup.folder.exists()
            assert not setup.ended
            assert (await browser.post("/write")).status_code == 303

    asyncio.run(scenario())


def test_what_setup_itself_refuses_leads_back_to_the_questions(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "mail", {}, [])
    database = {"database": "postgresql", "database_url": "postgresql://127.0.0.1:1/none"}

    async def scenario() -> None:
        async with setup.browser() as browser:
            await browser.get(f"/start/{setup.pages.token}")
            tested = await browser.post("/", data=setup.answers(**database))
            assert tested.headers["location"] == "/test"
            page = await browser.post("/write", follow_redirects=True)
            assert page.status_code == 422
            assert "The database cannot be used." in page.text
            assert not setup.folder.exists()
            await browser.post("/", data=setup.answers())
            assert (await browser.post("/write")).status_code == 303

    asyncio.run(scenario())


def test_two_clicks_set_up_one_server(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "mail", {}, [])

    async def scenario() -> None:
        async with setup.browser() as browser:
            await browser.get(f"/start/{setup.pages.token}")
            await browser.post("/", data=setup.answers())
            pages = await asyncio.gather(browser.post("/write"), browser.post("/write"))
            assert [page.headers.get("location") for page in pages] == ["/done", "/done"]
            assert (setup.folder / "zajil.toml").exists()

    asyncio.run(scenario())


def test_the_address_opens_one_browser_once(tmp_path: Path) -> None:
    """Whoever reads it later, in a history or a log, gets nothing."""
    setup = Setup(tmp_path / "mail", {}, [])
    start = f"/start/{setup.pages.token}"

    async def scenario() -> None:
        async with setup.browser() as browser, setup.browser() as thief:
            assert (await thief.get("/")).status_code == 403
            assert (await thief.get("/start/none")).status_code == 403
            assert (await browser.get(start)).status_code == 303
            assert (await thief.get(start)).status_code == 403
            assert (await thief.post("/", data=setup.answers())).status_code == 403
            assert (await thief.get("/", headers={"host": "evil.test"})).status_code == 400
            assert (await thief.post("/end")).status_code == 403
            assert not setup.ended
            assert (await browser.get("/")).status_code == 200
            setup.clock.advance(LIFETIME_MS)
            assert (await browser.get("/")).status_code == 403

    asyncio.run(scenario())


def test_pages_are_in_the_language_of_the_browser(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "mail", {}, [RISKY])

    async def scenario() -> None:
        async with setup.browser("ar") as browser:
            await browser.get(f"/start/{setup.pages.token}")
            page = await browser.get("/")
            assert 'dir="rtl"' in page.text
            assert "نطاق البريد" in page.text
            assert "script-src" in page.headers["content-security-policy"]
            assert "Mail domain" not in page.text
            tested = await browser.post("/", data=setup.answers(), follow_redirects=True)
            assert "تعذرت الكتابة في" in tested.text
            chosen = await browser.post("/preferences", data={"language": "fr", "next": "/"})
            assert chosen.status_code == 303
            assert "Domaine de courrier" in (await browser.get("/")).text

    asyncio.run(scenario())


def test_the_command_prints_the_address_and_serves_it() -> None:
    command = [sys.executable, "-m", "zajil", "setup", "--web"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            text = "".join(process.stdout.readline() for _ in range(7))
            found = re.search(r"http://127\.0\.0\.1:\d+/start/[0-9a-f]{48}", text)
            assert found is not None
            assert "ssh -L" in text
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            with opener.open(found[0], timeout=60) as page:
                assert b"Set up the mail server" in page.read()
            with opener.open(found[0].partition("/start")[0] + "/end", b"", timeout=60) as page:
                assert b"Setup has ended" in page.read()
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_an_address_to_listen_on_that_is_none() -> None:
    command = [sys.executable, "-m", "zajil", "setup", "--web", "somewhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "use ADDRESS:PORT" in done.stderr) == (2, True)


def test_options_beside_the_browser_are_not_ignored_silently() -> None:
    command = [sys.executable, "-m", "zajil", "setup", "north.test", "--web", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "leave out the other options" in done.stderr) == (2, True)
