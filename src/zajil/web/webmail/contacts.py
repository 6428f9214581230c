"""``/contacts``: the address book, its import and export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.errors import NotFound
from zajil.core.ids import AccountId
from zajil.login.account import Account
from zajil.message.vcard import MAX_PHOTO, read_cards, write_card
from zajil.operations.contacts import (
    BadContact,
    add_address,
    bring_back,
    card_of,
    import_cards,
    remove_contacts,
    save_contact,
)
from zajil.operations.context import OperationContext
from zajil.store.engine.reader import Snapshot
from zajil.store.people.contacts import (
    Contact,
    TooManyContacts,
    get_contact,
    get_photo,
    list_contacts,
    list_groups,
)
from zajil.submit.draft import spell_person
from zajil.web.access import actor_of
from zajil.web.language import Language
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.security import local_path
from zajil.web.webmail.mailboxes import Boxes, load_boxes, read_number, read_stamp

PAGE = 100
_MOST_TYPED = 100
_VERSIONS = ("3.0", "4.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One page of an address book."""

    contacts: tuple[Contact, ...]
    total: int
    groups: tuple[str, ...]
    """All that any contact has, in their order."""
    page: int
    has_more: bool


class ContactPages:
    """The pages of contacts."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._notices = notices
        self._pages = pages
        self._operations = operations
        self._store = operations.store

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show contacts in the order of their names."""
        given = request.query_params
        text, group = given.get("q", "")[:_MOST_TYPED], given.get("group", "")[:_MOST_TYPED]
        page = max(1, read_number(given.get("page")) or 1)

        def load(conn: Snapshot) -> tuple[Boxes, Book]:
            boxes = load_boxes(conn, account.account_id, self._store.tables)
            return boxes, _load_book(conn, account.account_id, text, group, page)

        boxes, book = await self._store.read(load, account.account_id)
        done = self._notices.read(request)
        response = self._pages.render(
            visitor,
            "contacts.html",
            boxes=boxes,
            current=None,
            book=book,
            words=text,
            group=group,
            said=_said(given, visitor.language),
            done=done,
            path_of=lambda number: _list_path(text, group, number),
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def add(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Make a contact: from its form, or of a name and an address alone (``next``)."""
        form = await request.form()
        if "address" not in form:
            return await self._save(request, visitor, account, 0)
        back = local_path(form.get("next"), "/contacts")
        name, address = _text(form, "name"), _text(form, "address")
        try:
            contact_id, is_new = await add_address(
                self._operations, actor_of(request, account), name, address
            )
        except BadContact:
            draft = Contact(uid="", name=name, emails=(address,))
            return await self._form(visitor, account, draft, _problem("emails", visitor, address))
        except TooManyContacts:
            raise HTTPException(409) from None
        if "next" not in form:
            back = f"/contacts/{contact_id}"
        response = RedirectResponse(back, 303)
        if "next" in form:
            self._notices.leave(response, Done("contact" if is_new else "hascontact", 1))
        return response

    async def edit(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the form of a contact, or an empty one."""
        contact_id = _number(request)
        contact = Contact(uid="", name=request.query_params.get("name", "")[:_MOST_TYPED])
        if contact_id:
            contact = await self._find(account, contact_id)
        return await self._form(visitor, account, contact)

    async def save(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Write what the form says."""
        return await self._save(request, visitor, account, _number(request))

    async def delete(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Delete the marked contacts, and go back to the list; they can come back."""
        form = await request.form()
        ids = sorted({n for one in form.getlist("id") if (n := read_number(one)) is not None})
        actor = actor_of(request, account)
        count, deleted_ms = await remove_contacts(self._operations, actor, ids)
        done = Done("contactgone", count, undo=str(deleted_ms)) if count else Done("contactnone", 0)
        return self._back(form, done)

    async def restore(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Undo a deletion."""
        form = await request.form()
        deleted_ms = read_stamp(form.get("undo"))
        if deleted_ms is None:
            raise HTTPException(400)
        count = await bring_back(self._operations, actor_of(request, account), deleted_ms)
        return self._back(form, Done("contactback", count))

    async def import_file(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Take contacts from a file of vCards."""
        form = await request.form()
        data = await _file(form, "file")
        text = data.decode("utf-8-sig", "replace") if data else ""
        cards = await self._operations.compute(lambda: read_cards(text))
        try:
            done = await import_cards(self._operations, actor_of(request, account), cards)
        except TooManyContacts:
            return RedirectResponse("/contacts?full=1", 303)
        said = {"imported": done.saved, "without": done.left_out}
        return RedirectResponse(f"/contacts?{urlencode(said)}", 303)

    async def export(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send all contacts, or those of a group, as vCards."""
        version = request.query_params.get("version", "4.0")
        if version not in _VERSIONS:
            raise HTTPException(404)
        group = request.query_params.get("group", "")[:_MOST_TYPED]

        def load(conn: Snapshot) -> str:
            cards: list[str] = []
            for one in list_contacts(conn, account.account_id, group=group):
                photo = get_photo(conn, account.account_id, one.contact_id)
                cards.append(write_card(card_of(one, photo), version))
            return "".join(cards)

        text = await self._store.read(load, account.account_id)
        headers = {"Content-Disposition": 'attachment; filename="contacts.vcf"'}
        return Response(text, media_type="text/vcard; charset=utf-8", headers=headers)

    async def photo(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send the picture of a contact."""
        contact_id = _number(request)
        found = await self._store.read(
            lambda conn: get_photo(conn, account.account_id, contact_id), account.account_id
        )
        if found is None:
            raise HTTPException(404)
        headers = {"Cache-Control": "private, max-age=300"}
        return Response(found.data, media_type=found.media_type, headers=headers)

    # ---- inside -----------------------------------------------------------------------------

    def _back(self, form: FormData, done: Done) -> Response:
        """Lead to the list that a form was on, which says what was done."""
        response = RedirectResponse(local_path(form.get("next"), "/contacts"), 303)
        self._notices.leave(response, done)
        return response

    async def _find(self, account: Account, contact_id: int) -> Contact:
        found = await self._store.read(
            lambda conn: get_contact(conn, account.account_id, contact_id), account.account_id
        )
        if found is None:
            raise HTTPException(404)
        return found

    async def _save(
        self, request: Request, visitor: Visitor, account: Account, contact_id: int
    ) -> Response:
        form = await request.form()
        before = await self._find(account, contact_id) if contact_id else Contact(uid="", name="")
        contact = _contact_of(form, before)
        photo = await _file(form, "photo")
        try:
            await save_contact(
                self._operations,
                actor_of(request, account),
                contact,
                photo,
                drops_photo="drop_photo" in form,
            )
        except BadContact as error:
            problem = _problem(error.field, visitor, error.wrong)
            return await self._form(visitor, account, contact, problem)
        except TooManyContacts:
            return await self._form(visitor, account, contact, _problem("full", visitor))
        except NotFound:
            raise HTTPException(404) from None
        return RedirectResponse("/contacts?saved=1", 303)

    async def _form(
        self, visitor: Visitor, account: Account, contact: Contact, problem: str = ""
    ) -> Response:
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables),
            account.account_id,
        )
        return self._pages.render(
            visitor,
            "contact.html",
            422 if problem else 200,
            boxes=boxes,
            current=None,
            contact=contact,
            write_to=spell_person(contact.name, contact.emails[0]) if contact.emails else "",
            problem=problem,
            most_photo=MAX_PHOTO,
        )


def _problem(what: str, visitor: Visitor, value: str = "") -> str:
    """Return why a contact cannot be saved."""
    gettext = visitor.language.gettext
    match what:
        case "emails":
            text = gettext(
                "“%(what)s” is not a valid email address. Use the form name@example.org."
            )
            return text % {"what": value}
        case "photo" if value == "size":
            return gettext("The photo is too large. It may have up to 200 KB.")
        case "photo":
            return gettext("The photo must be a PNG, JPEG, GIF or WebP image.")
        case "full":
            return gettext("Your address book is full.")
    return gettext("Enter a name or an email address.")


def _said(given: Mapping[str, str], language: Language) -> str:
    """Return what was just done, as the address of the page says it."""
    ngettext, gettext = language.ngettext, language.gettext

    def number_of(name: str) -> int | None:
        return read_number(given.get(name))

    if (imported := number_of("imported")) is not None:
        said = ngettext("%(num)s contact imported.", "%(num)s contacts imported.", imported)
        said = said % {"num": imported}
        if left := number_of("without"):
            more = ngettext(
                "%(num)s entry without a name or an address was left out.",
                "%(num)s entries without a name or an address were left out.",
                left,
            )
            said = f"{said} {more % {'num': left}}"
        return said
    if "saved" in given:
        return gettext("Contact saved.")
    if "full" in given:
        return gettext("Your address book is full. Only a part of the file was imported.")
    return ""


def _load_book(conn: Snapshot, account_id: AccountId, text: str, group: str, page: int) -> Book:
    everybody = list_contacts(conn, account_id)
    found = list_contacts(conn, account_id, text, group) if text or group else everybody
    page = min(page, max(1, -(-len(found) // PAGE)))
    start = (page - 1) * PAGE
    return Book(
        contacts=tuple(found[start : start + PAGE]),
        total=len(found),
        groups=tuple(list_groups(conn, account_id)),
        page=page,
        has_more=len(found) > start + PAGE,
    )


def _list_path(text: str, group: str, page: int) -> str:
    given = {"q": text, "group": group, "page": str(page) if page > 1 else ""}
    kept = {name: value for name, value in given.items() if value}
    return f"/contacts?{urlencode(kept)}" if kept else "/contacts"


def _number(request: Request) -> int:
    """Return the id of a contact in the address; 0: it is to be a new one."""
    text = request.path_params.get("contact_id", "new")
    number = 0 if text == "new" else read_number(text)
    if number is None or (number == 0 and text != "new"):
        raise HTTPException(404)
    return number


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


async def _file(form: FormData, name: str) -> bytes | None:
    """Return a file of a form; ``None``: none was chosen."""
    value = form.get(name)
    if not isinstance(value, UploadFile):
        return None
    return await value.read() or None


def _contact_of(form: FormData, before: Contact) -> Contact:
    return replace(
        before,
        name=_text(form, "name"),
        emails=tuple(_text(form, "emails").split("\n")),
        phones=tuple(_text(form, "phones").split("\n")),
        organisation=_text(form, "organisation"),
        note=_text(form, "note"),
        groups=tuple(_text(form, "groups").replace("،", ",").split(",")),
    )
