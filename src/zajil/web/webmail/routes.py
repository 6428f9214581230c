"""The addresses of webmail: reading and writing."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import BaseRoute, Route

from zajil.operations.openings import Openings
from zajil.read.picture_fetch import PictureFetcher
from zajil.web.access import Endpoint, ForMembers
from zajil.web.parts import WebParts
from zajil.web.webmail.asked_receipts import Receipts
from zajil.web.webmail.compose_routes import compose_routes
from zajil.web.webmail.contacts import ContactPages
from zajil.web.webmail.folders import Folders
from zajil.web.webmail.invitations import Invitations
from zajil.web.webmail.labels import LabelPages
from zajil.web.webmail.lessons import FilterLessons
from zajil.web.webmail.live import Live
from zajil.web.webmail.message_acts import MessageActs
from zajil.web.webmail.message_files import MessageFiles
from zajil.web.webmail.message_list import MessageList
from zajil.web.webmail.message_page import MessagePages
from zajil.web.webmail.noted_openings import noted
from zajil.web.webmail.recipient_pages import RecipientPages
from zajil.web.webmail.saved_searches import SavedSearches
from zajil.web.webmail.search import SearchPages
from zajil.web.webmail.sender_logos import SenderLogos

_MESSAGE = "/mail/{mailbox_id}/{uid}"


def webmail_routes(parts: WebParts) -> list[BaseRoute]:
    """Return a line for each address."""
    members, readers = parts.access.members, _readers(parts)
    mailbox = MessageList(parts.pages, parts.store, parts.notices)
    lessons = _filter_lessons(parts)
    acts = MessageActs(parts.operations, parts.notices, lessons)
    folders = Folders(parts.pages, parts.operations, parts.notices)
    labels = LabelPages(parts.pages, parts.operations, parts.notices)
    logos = SenderLogos(parts.store, parts.services.hostname, parts.services.logos)
    message = _message_pages(parts, lessons, logos)
    files = MessageFiles(parts.pages, parts.store, PictureFetcher(parts.services.outside))
    invitations = Invitations(parts.services, parts.notices)
    receipts = Receipts(parts.services, parts.notices)
    live = Live(parts.store)
    searching = SearchPages(parts.pages, parts.operations, parts.notices)
    saved = SavedSearches(parts.operations, parts.notices)
    return [
        Route("/mail", members(mailbox.home), methods=["GET"]),
        Route("/mail/{mailbox_id}", readers(mailbox.show), methods=["GET"]),
        Route("/folders", members(folders.show), methods=["GET"]),
        Route("/folders", members(folders.act), methods=["POST"]),
        Route("/labels", members(labels.show), methods=["GET"]),
        Route("/labels", members(labels.act), methods=["POST"]),
        Route("/mail/undo", members(acts.undo), methods=["POST"]),
        Route("/mail/{mailbox_id}", members(acts.act), methods=["POST"]),
        Route(_MESSAGE, readers(message.show), methods=["GET"]),
        Route(_MESSAGE + "/state", readers(message.show_state), methods=["GET"]),
        Route(_MESSAGE + "/html", readers(files.show_html), methods=["GET"]),
        Route(_MESSAGE + "/logo", readers(logos.show), methods=["GET"]),
        Route(_MESSAGE + "/view", members(message.choose_view), methods=["POST"]),
        Route(_MESSAGE + "/pictures", members(message.choose_pictures), methods=["POST"]),
        Route(_MESSAGE + "/report", members(message.report), methods=["POST"]),
        Route(_MESSAGE + "/unsubscribe", members(message.unsubscribe), methods=["POST"]),
        Route(_MESSAGE + "/answer", members(invitations.answer), methods=["POST"]),
        Route(_MESSAGE + "/receipt", members(receipts.answer), methods=["POST"]),
        Route(_MESSAGE + "/open/{number}", readers(files.preview), methods=["GET"]),
        Route(_MESSAGE + "/enclosed/{number}", readers(message.show_enclosed), methods=["GET"]),
        Route(_MESSAGE + "/enclosed/{number}/html", readers(files.show_html), methods=["GET"]),
        Route(_MESSAGE + "/file/{number}", readers(files.download), methods=["GET"]),
        Route(_MESSAGE + "/source", readers(files.download_source), methods=["GET"]),
        Route("/picture", members(files.show_picture), methods=["GET"]),
        Route("/search", members(searching.show), methods=["GET"]),
        Route("/search", members(searching.act), methods=["POST"]),
        Route("/search/saved", members(saved.act), methods=["POST"]),
        *_contact_routes(parts),
        *compose_routes(parts),
        Route("/live", members(live.stream), methods=["GET"]),
    ]


def _readers(parts: WebParts) -> Callable[[ForMembers], Endpoint]:
    """Return what lets members in and tells the owner of a mailbox who opened it."""
    openings = Openings(parts.operations)
    return lambda handler: parts.access.members(noted(openings, handler))


def _message_pages(parts: WebParts, lessons: FilterLessons, logos: SenderLogos) -> MessagePages:
    return MessagePages(
        parts.pages,
        parts.operations,
        parts.notices,
        hostname=parts.services.hostname,
        outside=parts.services.outside,
        lessons=lessons,
        logos=logos,
    )


def _filter_lessons(parts: WebParts) -> FilterLessons:
    services = parts.services
    learns = services.configuration.check.words.learn
    return FilterLessons(parts.store, services.hostname, learns_words=learns)


def _contact_routes(parts: WebParts) -> list[BaseRoute]:
    members, with_file = parts.access.members, parts.access.members_with_file
    contacts = ContactPages(parts.pages, parts.operations, parts.notices)
    recipients = RecipientPages(parts.services)
    one = "/contacts/{contact_id}"
    return [
        Route("/contacts", members(contacts.show), methods=["GET"]),
        Route("/contacts", with_file(contacts.add), methods=["POST"]),
        Route("/contacts/complete", members(recipients.complete), methods=["GET"]),
        Route("/contacts/export", members(contacts.export), methods=["GET"]),
        Route("/contacts/import", with_file(contacts.import_file), methods=["POST"]),
        Route("/contacts/delete", members(contacts.delete), methods=["POST"]),
        Route("/contacts/restore", members(contacts.restore), methods=["POST"]),
        Route("/contacts/forget", members(recipients.forget), methods=["POST"]),
        Route(one, members(contacts.edit), methods=["GET"]),
        Route(one, with_file(contacts.save), methods=["POST"]),
        Route(one + "/photo", members(contacts.photo), methods=["GET"]),
    ]
