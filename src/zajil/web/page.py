"""Renders templates in the visitor's language. Escaping is on for everything that is not marked.

Bidi: whatever comes from a mail or a person (addresses, names, subjects) stands in ``<bdi>``, so
that it cannot turn the words around it; ``Markup`` is made here and in
``webmail.message_page`` only.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from types import CodeType
from typing import Any
from urllib.parse import urlencode

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.bccache import Bucket
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from zajil.check.verdict.signals import SIGNALS
from zajil.core.clock import Clock
from zajil.core.domain import to_unicode
from zajil.core.labels import Label, labels_of, read_labels
from zajil.login.account import Account
from zajil.message.address_list import parse_address_list
from zajil.read.links import find_links
from zajil.read.paragraphs import Paragraph, find_direction
from zajil.store.people.sessions import WebSession
from zajil.tracking.audit_sentences import describe_actor, describe_change
from zajil.tracking.check_names import CHECK_NAMES
from zajil.tracking.journey import readable
from zajil.tracking.reason_reader import ReasonReader
from zajil.tracking.reasons import ERROR_PLACES, REASONS, SYSTEM_ERRORS
from zajil.tracking.sentences import Sentence
from zajil.tracking.story import tone_of_state
from zajil.web.avatars import hue, initial
from zajil.web.choices import Choices
from zajil.web.language import OWN_LANGUAGE, Language
from zajil.web.marking import marked, urls_marked
from zajil.web.security import mask_token
from zajil.web.static_files import StaticFiles
from zajil.web.texts import install_texts

_TEMPLATES = Path(__file__).parent / "templates"
THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who looks at a page, and how they like it."""

    language: Language
    zone: tzinfo = UTC
    theme: str = ""
    """``light``, ``dark``, or ``""`` for what the browser prefers."""
    path: str = "/"
    """Where they are, to come back to after a change of language or theme."""
    csrf: str = ""
    account: Account | None = None
    session: WebSession | None = None
    choices: Choices = field(default_factory=Choices)
    """What the account chose; of a stranger the defaults."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """All settings of the account by name, for those that ``choices`` does not know."""
    has_zone: bool = True
    """Whether the browser said where on Earth it is; else all times are UTC and say so."""

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels of the account."""
        return read_labels(self.settings)

    def labels_of(self, keywords: Iterable[str]) -> tuple[Label, ...]:
        """Return the labels of a message that has these flags or keywords."""
        return labels_of(self.labels, keywords)

    @property
    def zone_note(self) -> str:
        """What stands behind a time whose zone a reader could not know."""
        return "" if self.has_zone else " UTC"


@dataclass(frozen=True, slots=True)
class Site:
    """Whose pages these are."""

    hostname: str
    """In U-labels."""
    cookie_name: str
    shard: str = ""
    """Whose store the pages show; ``""``: there is only one store."""


class CompiledTemplates(BytecodeCache):
    """The code of templates in memory, by their place and the hash of their source."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the template its code, if it was compiled before."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template that was compiled now."""
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


@functools.cache
def compiled_templates() -> CompiledTemplates:
    """Return those of the process: all languages have the same code, and compiling is slow."""
    return CompiledTemplates()


class Pages:
    """Templates, one environment for each language."""

    def __init__(
        self, languages: Mapping[str, Language], static: StaticFiles, clock: Clock, site: Site
    ) -> None:
        self._clock = clock
        self._site = site
        self._languages = languages
        self._static = static
        self._reasons = _reason_reader()
        self._environments = {
            code: self._make_environment(language) for code, language in languages.items()
        }

    @property
    def languages(self) -> Mapping[str, Language]:
        """All languages, by their codes."""
        return self._languages

    def render(
        self, visitor: Visitor, template: str, status_code: int = 200, **context: Any
    ) -> HTMLResponse:
        """Return a page as a response."""
        return HTMLResponse(self.render_text(visitor, template, **context), status_code)

    def render_text(self, visitor: Visitor, template: str, **context: Any) -> str:
        """Return a page as text, for whoever serves it in another way."""
        found = self._environments[visitor.language.code].get_template(template)
        return found.render(
            visitor=visitor,
            language=visitor.language,
            languages=self._languages,
            site=self._site,
            now_ms=self._clock.now_ms(),
            # One for all forms of a page: masks are random, and do not compress.
            csrf_token=functools.cache(lambda: mask_token(visitor.csrf)),
            **context,
        )

    @pass_context
    def _told_reason(self, context: Context, reason: str) -> Markup | None:
        """Return a reason that an event holds in the visitor's language.

        ``None``: it is none of our own, or in that language already.
        """
        visitor: Visitor = context["visitor"]
        if visitor.language.code == OWN_LANGUAGE:
            return None
        told = [_told(context, sentence) for sentence in self._reasons.read(reason)]
        return Markup(" ").join(told) if told else None

    def _make_environment(self, language: Language) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
            bytecode_cache=compiled_templates(),
        )
        install_texts(environment, language)
        environment.filters.update(
            isolated=_isolated,
            address=lambda text: _name(readable(text)),
            name=_name,
            author=_author,
            hue=hue,
            initial=initial,
            domain=lambda name: _name(to_unicode(name)),
            date=_date,
            moment=_moment,
            clock=_clock,
            size=_size,
            number=_number,
            told=_told,
            mail_id=_mail_id,
            later=_later,
            subject_direction=_subject_direction,
            linked=_linked,
            urls_isolated=_urls_isolated,
            marked=marked,
            urls_marked=urls_marked,
            reason=self._told_reason,
            change=describe_change,
            actor=describe_actor,
            state_tone=lambda state: tone_of_state(state).value,
        )
        environment.globals.update(static=self._static.path, make_icon=_make_icon)
        return environment


@functools.cache
def _make_icon(name: str) -> Markup:
    # Names are those of our own templates. A function: a list shows hundreds, and macros are slow.
    return Markup('<span class="icon icon-{}" aria-hidden="true"></span>').format(name)


def _isolated(text: object) -> Markup:
    return Markup("<bdi>{}</bdi>").format(text)


def _name(text: object) -> Markup:
    """Return an address or the name of a host.

    One with right-to-left letters runs right to left as a whole, whichever label is the first: so
    ``mx.زاجل.test`` runs as ``سلمى@زاجل.test`` does.
    """
    shown = str(text)
    both = _BOTH_FORMS.match(shown)
    if both is not None:
        return Markup("{} ({})").format(_name(both[1]), _name(both[2]))
    if find_direction(shown) == "ltr" and _RIGHT_TO_LEFT.search(shown):
        return Markup('<bdi dir="rtl">{}</bdi>').format(shown)
    return _isolated(shown)


def _author(header_from: str) -> Markup:
    """Return who stands in a From field: the name and the address, each isolated."""
    people = parse_address_list(header_from).people
    if not people:
        return _isolated(header_from)
    name, spec = people[0].display_name, people[0].spec
    if not name:
        return _isolated(spec)
    return Markup('<bdi>{}</bdi> <bdi class="spec">{}</bdi>').format(name, spec)


def _linked(paragraph: Paragraph) -> Markup:
    """Return the text of a paragraph with its links.

    Security: a link whose words do not begin with the host that it leads to has the host beside it.
    """
    pieces: list[Markup] = []
    end = 0
    for link in paragraph.links:
        words = paragraph.text[link.start : link.end]
        pieces.append(escape(paragraph.text[end : link.start]))
        url, elsewhere = link.target.url, Markup(' rel="noreferrer nofollow" target="_blank"')
        if url.startswith("mailto:"):
            url, elsewhere = f"/compose?{urlencode({'to': link.target.host})}", Markup()
        # A URL reads from left to right; in Arabic text its slashes would go astray.
        inside = Markup('<bdi dir="ltr">{}</bdi>').format(words) if link.is_url else escape(words)
        pieces.append(Markup('<a href="{}"{}>{}</a>').format(url, elsewhere, inside))
        if not link.shows_host:
            pieces.append(
                Markup(' <bdi dir="ltr" class="host">({})</bdi>').format(link.target.host)
            )
        end = link.end
    pieces.append(escape(paragraph.text[end:]))
    return Markup().join(pieces)


def _urls_isolated(text: str) -> Markup:
    """Return a text whose URLs read from left to right, whatever stands around them."""
    pieces: list[Markup] = []
    end = 0
    for link in find_links(text):
        pieces.append(escape(text[end : link.start]))
        pieces.append(Markup('<bdi dir="ltr">{}</bdi>').format(text[link.start : link.end]))
        end = link.end
    pieces.append(escape(text[end:]))
    return Markup().join(pieces)


def _mail_id(text: str) -> Markup:
    return Markup('<code class="id">{}</code>').format(text)


_ANSWERED = re.compile(r"(?:(?:re|fwd?|aw|sv|رد)\s*:\s*)+", re.IGNORECASE)
_BOTH_FORMS = re.compile(r"(\S+) \((\S*xn--\S*)\)\Z")
"""A domain in U-labels, and behind it in A-labels."""
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_COUNTS = frozenset({"count", "limit", "messages", "percent", "size", "strangers"})
"""Places of sentences that hold a number."""
_ROLE_MAILBOXES = ("Drafts", "Sent", "Junk", "Trash", "Archive")


def _subject_direction(subject: str) -> str:
    # "Re:" is no word of the subject: an Arabic one stays right to left behind it.
    return find_direction(_ANSWERED.sub("", subject, count=1))


@pass_context
def _size(context: Context, size: int) -> str:
    visitor: Visitor = context["visitor"]
    return visitor.language.size(size)


@pass_context
def _number(context: Context, number: float) -> str:
    visitor: Visitor = context["visitor"]
    return visitor.language.number(number)


@pass_context
def _later(context: Context, passed_ms: int) -> str:
    visitor: Visitor = context["visitor"]
    # In a line from right to left the plus would stand behind the number; the mark keeps it there.
    return f"\u200e+{visitor.language.duration(passed_ms)}"


@pass_context
def _date(context: Context, at_ms: int) -> Markup:
    visitor: Visitor = context["visitor"]
    shown = visitor.language.date(at_ms, context["now_ms"], visitor.zone)
    whole = visitor.language.moment(at_ms, visitor.zone)
    # A day is a day nearly everywhere; a time of day says nothing without its zone.
    zone = visitor.zone_note if ":" in shown else ""
    return Markup('<time title="{}">{}{}</time>').format(whole + visitor.zone_note, shown, zone)


@pass_context
def _moment(context: Context, at_ms: int) -> str:
    visitor: Visitor = context["visitor"]
    return visitor.language.moment(at_ms, visitor.zone) + visitor.zone_note


@pass_context
def _clock(context: Context, at_ms: int) -> str:
    visitor: Visitor = context["visitor"]
    return visitor.language.clock(at_ms, visitor.zone) + visitor.zone_note


@functools.cache
def _reason_reader() -> ReasonReader:
    return ReasonReader((*REASONS, *[signal.text for signal in SIGNALS.values()]))


@pass_context
def _told(context: Context, sentence: Sentence) -> Markup:
    """Return a sentence of a story in the visitor's language, each value isolated and escaped."""
    visitor: Visitor = context["visitor"]
    language = visitor.language
    values: dict[str, Markup] = {}
    for name, value in sentence.values.items():
        if isinstance(value, Sentence):
            values[name] = Markup(_told(context, value).removesuffix("."))  # noqa: S704
            continue
        if name.endswith("_ms") and isinstance(value, int):
            values[name] = escape(language.moment(value, visitor.zone))
        elif name.endswith("_bytes") and isinstance(value, int):
            values[name] = escape(language.size(value))
        elif name == "mailbox" and value == "INBOX":
            values[name] = escape(language.gettext("Inbox"))
        elif name in _COUNTS and str(value).isdecimal():
            values[name] = escape(language.number(value))
        elif name == "check":
            values[name] = escape(language.gettext(CHECK_NAMES.get(str(value), str(value))))
        elif (name == "mailbox" and value in _ROLE_MAILBOXES) or (
            name in ERROR_PLACES and value in SYSTEM_ERRORS
        ):
            values[name] = escape(language.gettext(str(value)))
        elif name in ERROR_PLACES and (inner := _reason_reader().read(str(value))):
            told = Markup(" ").join([_told(context, one) for one in inner])
            values[name] = Markup(told.removesuffix("."))  # noqa: S704
        else:
            is_name = " " not in str(value) or _BOTH_FORMS.match(str(value))
            values[name] = _name(value) if is_name else _isolated(value)
    return escape(language.gettext(sentence.text)).format(**values)
