"""``/account/templates``: texts that a person uses again and again."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.operations.settings import change_settings
from zajil.store.people.settings import BadSetting
from zajil.web.access import actor_of
from zajil.web.account.frame import AccountPages
from zajil.web.page import Visitor
from zajil.web.removed import SETTING as REMOVED
from zajil.web.removed import Removed, find_removed, with_removed, without_removed
from zajil.web.text_templates import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST,
    SETTING,
    TextTemplate,
    read_templates,
    write_templates,
)

_PATH = "/account/templates"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class TemplatePages(AccountPages):
    """One form for each text, and one for a new one."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show all."""
        return self._page(request, visitor, TextTemplate("", ""))

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Add, change or delete one, or bring back one that was deleted."""
        form = await request.form()
        before = str(form.get("before", ""))
        written = TextTemplate(
            " ".join(_CONTROL.sub(" ", str(form.get("name", ""))).split()),
            _CONTROL.sub("", str(form.get("text", "")).replace("\r\n", "\n")).strip("\n"),
        )
        kept = {one.name: one for one in read_templates(visitor.settings)}
        action = form.get("action")
        if action == "delete":
            return await self._delete(request, visitor, account, kept, before)
        if action == "undo":
            return await self._bring_back(request, visitor, account, kept, str(form.get("undo")))
        if problem := _problem(written, before, kept):
            return self._page(request, visitor, written, problem, before)
        kept.pop(before, None)
        kept[written.name] = written
        try:
            await self._keep(request, account, kept)
        except BadSetting:
            return self._page(request, visitor, written, "full", before)
        return self.after(_PATH, "saved")

    async def _delete(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        kept: dict[str, TextTemplate],
        name: str,
    ) -> Response:
        gone = kept.pop(name, None)
        if gone is None:
            return self.after(_PATH, "saved")
        removed = Removed("template", gone.name, gone.text)
        await self._keep(request, account, kept, with_removed(visitor.settings, removed))
        return self.after(_PATH, "templateremoved", undo=removed.key)

    async def _bring_back(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        kept: dict[str, TextTemplate],
        key: str,
    ) -> Response:
        gone = find_removed(visitor.settings, "template", key)
        if gone is None or gone.name in kept or len(kept) >= MOST:
            return self.after(_PATH, "late")
        kept[gone.name] = TextTemplate(gone.name, gone.value)
        try:
            await self._keep(request, account, kept, without_removed(visitor.settings, gone))
        except BadSetting:
            return self.after(_PATH, "late")
        return self.after(_PATH, "undone")

    async def _keep(
        self,
        request: Request,
        account: Account,
        kept: dict[str, TextTemplate],
        removed: str | None = "",
    ) -> None:
        """Write the templates, and what was removed unless it is ``""``.

        Raises:
            BadSetting: they are too long together; nothing is changed.
        """
        values = {SETTING: write_templates(kept.values())}
        if removed != "":
            values[REMOVED] = removed
        await change_settings(self._context, actor_of(request, account), account.login, values)

    def _page(
        self,
        request: Request,
        visitor: Visitor,
        written: TextTemplate,
        problem: str = "",
        before: str = "",
    ) -> Response:
        return self.render(
            request,
            visitor,
            "account_templates.html",
            400 if problem else 200,
            templates=read_templates(visitor.settings),
            written=written,
            before=before,
            problem=problem,
            longest_name=LONGEST_NAME,
            longest_text=LONGEST_TEXT,
        )


def _problem(written: TextTemplate, before: str, kept: dict[str, TextTemplate]) -> str:
    """Return a word for what is wrong; ``""``: nothing is."""
    if not written.name or not written.text:
        return "empty"
    if len(written.name) > LONGEST_NAME or len(written.text) > LONGEST_TEXT:
        return "long"
    if written.name != before and written.name in kept:
        return "same"
    return "many" if before not in kept and len(kept) >= MOST else ""
