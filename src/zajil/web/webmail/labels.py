"""``/labels``: make, rename, colour and remove labels."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.errors import AlreadyExists, Invalid, NotFound, Refused
from zajil.core.labels import COLOURS, LONGEST_NAME, find_label
from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.operations.labels import edit_label, make_label, remove_label, take_label_back
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.webmail.mailboxes import load_boxes
from zajil.web.webmail.undo import read_keyword, write_keyword


class LabelPages:
    """The page of all labels, and its forms."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._pages = pages
        self._operations = operations
        self._store = operations.store
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show all labels."""
        return await self._show(request, visitor, account, "")

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Do what a form asks; the page says why where it cannot be done."""
        form = await request.form()
        try:
            done = await self._do(form, request, visitor, account)
        except AlreadyExists:
            return await self._show(request, visitor, account, "taken")
        except NotFound:
            raise HTTPException(404) from None
        except Invalid:
            return await self._show(request, visitor, account, "name")
        except Refused:
            return await self._show(request, visitor, account, "many")
        response = RedirectResponse("/labels", 303)
        self._notices.leave(response, done)
        return response

    async def _show(
        self, request: Request, visitor: Visitor, account: Account, problem: str
    ) -> Response:
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables),
            account.account_id,
        )
        done = self._notices.read(request)
        response = self._pages.render(
            visitor,
            "labels.html",
            422 if problem else 200,
            boxes=boxes,
            current=None,
            colours=COLOURS,
            longest=LONGEST_NAME,
            problem=problem,
            done=done,
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def _do(
        self, form: FormData, request: Request, visitor: Visitor, account: Account
    ) -> Done:
        actor, login = actor_of(request, account), account.login
        action, keyword = str(form.get("action")), str(form.get("keyword", ""))
        name, colour = str(form.get("name", "")), str(form.get("colour", ""))
        if action == "make":
            await make_label(self._operations, actor, login, name, colour)
            return Done("labelmade", 1)
        if action == "change":
            label = find_label(visitor.labels, keyword)
            if label is not None and label.is_built_in:
                # The form shows the name in the language of the page; that is no other name.
                name = label.name if name == visitor.language.gettext(label.name) else name
            await edit_label(self._operations, actor, login, keyword, name=name, colour=colour)
            return Done("labelchanged", 1)
        if action == "remove":
            await remove_label(self._operations, actor, login, keyword)
            return Done("labelremoved", 1, undo=write_keyword(keyword))
        if action == "undo":
            keyword = read_keyword(str(form.get("undo", ""))) or ""
            await take_label_back(self._operations, actor, login, keyword)
            return Done("undone", 1)
        raise HTTPException(400)
