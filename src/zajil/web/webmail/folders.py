"""``/folders``: make, rename, delete and share mailboxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.actor import Actor
from zajil.core.errors import AlreadyExists, Invalid, NotFound, Refused
from zajil.core.ids import AccountId, MailboxId
from zajil.core.mailbox_rights import LEVELS
from zajil.imap.mailbox_name import SEPARATOR
from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.operations.mailboxes import (
    delete,
    make_mailbox,
    rename,
    share_mailbox,
    subscribe,
)
from zajil.store.mail.access import Entry, list_entries
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.messages import list_uids
from zajil.store.mail.right_changes import Grant
from zajil.store.mail.subscriptions import list_subscriptions
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.webmail.mailboxes import Box, Boxes, load_boxes, read_number
from zajil.web.webmail.undo import UndoStep


@dataclass(frozen=True, slots=True)
class Share:
    """Somebody who may use a mailbox."""

    identifier: str
    """Login name, or ``anyone``."""
    level: str
    """``read``, ``write``, ``manage``, or ``other``."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A mailbox, and who may use it."""

    box: Box
    subscribed: bool
    shares: tuple[Share, ...]


class Folders:
    """The page of all mailboxes, and its forms."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._pages = pages
        self._operations = operations
        self._store = operations.store
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show all mailboxes."""
        return await self._show(request, visitor, account, "")

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Do what a form asks; the page says why where it cannot be done."""
        form = await request.form()
        actor = actor_of(request, account)
        try:
            done = await self._do(form, actor, account)
        except NoSuchMailbox:
            raise HTTPException(404) from None
        except AlreadyExists:
            return await self._show(request, visitor, account, "taken")
        except NotFound:
            return await self._show(request, visitor, account, "person")
        except Invalid:
            return await self._show(request, visitor, account, "name")
        except Refused:
            return await self._show(request, visitor, account, "refused")
        response = RedirectResponse("/folders", 303)
        self._notices.leave(response, done)
        return response

    async def _show(
        self, request: Request, visitor: Visitor, account: Account, problem: str
    ) -> Response:
        boxes, folders = await self._store.read(
            lambda conn: _load(conn, account.account_id, self._store.tables), account.account_id
        )
        done = self._notices.read(request)
        response = self._pages.render(
            visitor,
            "folders.html",
            422 if problem else 200,
            boxes=boxes,
            current=None,
            folders=folders,
            problem=problem,
            done=done,
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def _do(self, form: FormData, actor: Actor, account: Account) -> Done:
        action, context = str(form.get("action")), self._operations
        if action == "make":
            made = await make_mailbox(context, actor, _new_name(form, form.get("parent")))
            return Done("made", 1, made)
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables)
        )
        box = boxes.get(MailboxId(read_number(form.get("mailbox")) or 0))
        if box is None or box.mailbox.is_shared:
            raise HTTPException(404)
        name = box.mailbox.name
        if action == "rename":
            await rename(context, actor, name, _new_name(form, form.get("parent")))
            return Done("renamed", 1, box.mailbox_id)
        if action == "delete":
            uids = tuple(await self._store.read(lambda conn: list_uids(conn, box.mailbox_id)))
            await delete(context, actor, name)
            can_undo = self._store.caps.undelete_ms > 0
            undo = UndoStep("gone", box.mailbox_id, "", uids if can_undo else ())
            return Done("removed", 1, undo=undo.write())
        if action in ("subscribe", "unsubscribe"):
            await subscribe(context, actor, name, subscribed=action == "subscribe")
            return Done(action, 1, box.mailbox_id)
        level = str(form.get("level", ""))
        if action != "share" or level not in {*LEVELS, "none"}:
            raise HTTPException(400)
        grant = Grant(str(form.get("person", "")).strip(), frozenset(LEVELS.get(level, "")))
        await share_mailbox(context, actor, account.login, name, grant)
        return Done("unshared" if level == "none" else "shared", 1, box.mailbox_id)


def _load(conn: Any, account_id: AccountId, tables: Any) -> tuple[Boxes, list[Folder]]:
    boxes = load_boxes(conn, account_id, tables)
    subscribed = list_subscriptions(conn, account_id)
    folders = [
        Folder(
            box,
            box.mailbox.name in subscribed,
            tuple([_share(one) for one in list_entries(conn, box.mailbox_id)]),
        )
        for box in boxes.all
    ]
    return boxes, folders


def _share(entry: Entry) -> Share:
    levels = [level for level, rights in LEVELS.items() if entry.rights == frozenset(rights)]
    return Share(entry.identifier, levels[0] if levels else "other")


def _new_name(form: FormData, parent: object) -> str:
    """Return the name that a form asks for, below another mailbox if it says so."""
    name = str(form.get("name", "")).strip()
    above = parent.strip() if isinstance(parent, str) else ""
    return f"{above}{SEPARATOR}{name}" if above else name
