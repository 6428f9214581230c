"""Browsers that are told of new mail: the owner adds and removes them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from zajil.core.actor import Actor
from zajil.core.errors import Invalid
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_owner
from zajil.read.web_push import AUTH_SIZE, KEY_SIZE, PushKeys, decode_base64url
from zajil.store.engine.writer import Transaction
from zajil.store.people.push_subscriptions import (
    PushOf,
    PushSubscription,
    add_push,
    remove_push,
)
from zajil.tracking.audit import NotificationsChanged

LONGEST_ENDPOINT = 2000
"""Characters of a URL."""


class BadEndpoint(Invalid, ValueError):
    """The URL is none of a push service."""


@dataclass(frozen=True, slots=True)
class NewPush:
    """What a browser says of itself (``PushSubscription.toJSON``); anything may be in it."""

    endpoint: str
    p256dh: str
    auth: str


async def add_browser(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    token_hash: str,
    new: NewPush,
    language: str,
) -> None:
    """Tell a browser of new mail as long as its log-in holds.

    Args:
        context: the store and what belongs to it.
        actor: the owner of the account, or an administrator.
        login_or_address: of the account.
        token_hash: of the log-in of the browser.
        new: the browser.
        language: code of the language of the notifications.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        BadEndpoint, BadPushKey: the browser says something that cannot be.
        TooManyBrowsers: the account has too many.
    """
    by = context.stamp(actor)
    keys = PushKeys(decode_base64url(new.p256dh, KEY_SIZE), decode_base64url(new.auth, AUTH_SIZE))
    keys.check()
    _check_endpoint(new.endpoint)

    def work(tx: Transaction) -> Recorded[None]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        item = PushSubscription(
            account_id=row.account_id,
            token_hash=token_hash,
            endpoint=new.endpoint,
            public_key=keys.public_key,
            auth=keys.auth,
            language=language,
        )
        (is_new,) = add_push(tx, [item])
        event = NotificationsChanged(*by, row.account_id, row.login, "added")
        return None, [event] if is_new else []

    await context.change(work)


async def remove_browser(
    context: OperationContext, actor: Actor, login_or_address: str, browser_id: str
) -> None:
    """Tell a browser of new mail no more.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount, NoSuchBrowser: there is no such account or browser.
    """
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[None]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        remove_push(tx, [PushOf(row.account_id, browser_id)])
        return None, [NotificationsChanged(*by, row.account_id, row.login, "removed")]

    await context.change(work)


def _check_endpoint(url: str) -> None:
    """Do nothing if a URL can be one of a push service; ``GuardedFetcher`` judges its host."""
    is_plain = len(url) <= LONGEST_ENDPOINT and url.isascii() and url.isprintable()
    try:
        place = urlsplit(url)
    except ValueError:
        raise BadEndpoint("not a URL") from None
    # RFC 8030 section 5: push services are reached over HTTPS only.
    if not is_plain or " " in url or place.scheme != "https" or not place.hostname:
        raise BadEndpoint("not a URL of a push service")
