"""What tests of webmail look for in the mailboxes of a site."""

from __future__ import annotations

import re

from kit.site import Browser, Site
from zajil.core.ids import MAIL_ID_PATTERN, MailboxId
from zajil.store.mail.mailboxes import find_role
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.messages import read_message
from zajil.store.mail.summaries import newest_summaries


async def member(site: Site, login: str = "amal", **headers: str) -> Browser:
    """Return a browser of somebody who is logged in, which always sends these header fields."""
    browser = site.browser(**headers)
    await browser.log_in(login)
    return browser


def role(site: Site, login: str, name: str) -> MailboxId:
    """Return somebody's mailbox of a role."""
    account_id = site.entry(login).account_id
    box = site.store.read_now(lambda conn: find_role(conn, account_id, name))
    assert box is not None
    return box.mailbox_id


def uids(site: Site, mailbox_id: MailboxId) -> list[int]:
    """Return the UIDs of a mailbox, the newest first."""
    found = site.store.read_now(lambda conn: newest_summaries(conn, mailbox_id, 100))
    return [one.uid for one, _ in found]


def newest(site: Site, mailbox_id: MailboxId) -> bytes:
    """Return the newest message of a mailbox."""

    def read(conn: object) -> bytes:
        ((found, _),) = newest_summaries(conn, mailbox_id, 1)  # type: ignore[arg-type]
        return read_message(conn, site.store.blobs, found)  # type: ignore[arg-type]

    return site.store.read_now(read)


def put_draft(site: Site, login: str, raw: bytes) -> str:
    """Put what another program saved into Drafts; return its place."""
    box, account_id = role(site, login, "drafts"), site.entry(login).account_id
    flags = frozenset({"\\Draft"})
    item = PutMessage(account_id, box, site.store.blobs.stage([raw]), flags, 1_795_000_000_000)
    site.store.write_now(put_messages, item)
    return f"{box}/{uids(site, box)[0]}"


async def journey_of_sent(browser: Browser) -> str:
    """Return the address of the journey that the page after Send leads to."""
    home = await browser.get("/mail")
    page = await browser.get(home.location)
    found = re.search(rf'href="(/journey/{MAIL_ID_PATTERN})"', page.text)
    assert found, "no journey in the notice"
    return found[1]
