"""What makes a mail look as if somebody else had sent it, or a link lead elsewhere. Pure.

A weight is low where honest newsletters do the same: their click trackers show one domain and lead
to another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from zajil.check.facts import MessageFacts
from zajil.check.html_text import Link
from zajil.check.links import Target, read_target, registered_domain, shown_domain
from zajil.check.lookalike import has_direction_control, imitated, is_mixed, skeleton
from zajil.check.signals import make_reason
from zajil.check.verdict import Reason
from zajil.check.view import MessageView, Person, printable
from zajil.core.domain import to_unicode

MAX_CHECKED = 100
"""Links that are looked at; a mail with more has said enough."""


@dataclass(frozen=True, slots=True)
class Protected:
    """Names that strangers like to borrow."""

    domains: frozenset[str] = frozenset()
    """Ours, and those an operator adds; ASCII form, lower case."""
    is_known_name: Callable[[str], bool] = field(default=lambda _: False)
    """Whether a skeleton of a display name is that of an account of ours."""
    brands: frozenset[str] = frozenset()
    """Domains that are often imitated, by option."""

    @property
    def all_domains(self) -> frozenset[str]:
        """All names that must not be imitated."""
        return self.domains | self.brands


NOBODY = Protected()


def check_phishing(
    view: MessageView, facts: MessageFacts, protected: Protected = NOBODY
) -> list[Reason]:
    """Give what speaks of deceit about the author or the links; usually nothing.

    Args:
        view: the mail.
        facts: who brought it.
        protected: names of ours.
    """
    reasons: list[Reason] = []
    author = view.author
    if author is not None:
        reasons += _check_author(author, facts, protected)
    if not view.header.isascii() or b"=?" in view.header:
        reasons += _check_direction(view)
    if view.reply_to and author is not None:
        reasons += _check_reply_to(author, view.reply_to, protected)
    if view.links:
        reasons += _check_links(view, author, protected)
    return _once(reasons)


def _once(reasons: list[Reason]) -> list[Reason]:
    return list({reason.signal: reason for reason in reversed(reasons)}.values())[::-1]


# ---- who it says it is from ---------------------------------------------------------------------

_ADDRESS = re.compile(r"[\w.+-]{1,64}+@([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})")


def _check_author(author: Person, facts: MessageFacts, protected: Protected) -> Iterator[Reason]:
    name, domain = author.name, author.domain
    # Security: fullwidth and small at signs read as one.
    shown = _ADDRESS.search(name.replace("＠", "@").replace("﹫", "@")) if name else None
    if shown and domain and not _same_owner(shown[1].lower(), domain):
        yield make_reason(
            "phish.name-shows-address", shown=printable(shown[0]), real=printable(author.address)
        )
    if name and is_mixed(name):
        yield make_reason("phish.mixed-script-name", name=printable(name))
    if not domain or facts.login is not None:
        return
    if own := imitated(domain, protected.all_domains):
        yield make_reason("phish.lookalike-author", domain=printable(domain), like=own)
    if not shown and name and domain not in protected.domains:
        mine = skeleton(name)
        if any(mine in (one, skeleton(one)) for one in protected.domains) or (
            protected.is_known_name(mine)
        ):
            yield make_reason(
                "phish.name-of-ours", name=printable(name), real=printable(author.address)
            )


def _check_direction(view: MessageView) -> Iterator[Reason]:
    if view.author is not None and has_direction_control(view.author.name):
        yield make_reason("phish.direction-control", place="From")
    elif has_direction_control(view.subject):
        yield make_reason("phish.direction-control", place="Subject")


_FREE_MAIL = frozenset(
    {
        *("gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "aol.com", "icloud.com"),
        *("proton.me", "protonmail.com", "gmx.com", "gmx.net", "mail.ru", "yandex.com"),
        *("mail.com", "zoho.com", "tutanota.com", "live.com", "msn.com", "qq.com", "163.com"),
    }
)


def _check_reply_to(
    author: Person, reply_to: tuple[Person, ...], protected: Protected
) -> Iterator[Reason]:
    for person in reply_to[:20]:
        if not person.domain or not author.domain:
            continue
        if own := imitated(person.domain, protected.all_domains):
            yield make_reason("phish.lookalike-reply-to", domain=printable(person.domain), like=own)
        if _same_owner(person.domain, author.domain):
            continue
        signal = "phish.reply-to-elsewhere"
        if person.domain in _FREE_MAIL and author.domain not in _FREE_MAIL:
            signal = "phish.reply-to-free-mail"
        yield make_reason(signal, real=printable(author.address), reply=printable(person.address))


def _same_owner(one: str, other: str) -> bool:
    return one == other or registered_domain(one) == registered_domain(other)


# ---- where it leads -----------------------------------------------------------------------------

_BAD_SCHEMES = frozenset({"javascript", "data", "vbscript", "file"})


def _check_links(
    view: MessageView, author: Person | None, protected: Protected
) -> Iterator[Reason]:
    is_list = any(field.name in (b"list-unsubscribe", b"list-id") for field in view.fields)
    seen: set[str] = set()
    for link in islice(view.links, MAX_CHECKED):
        target = read_target(link.target)
        if target is None:
            continue
        yield from _check_form(link, target)
        if target.host and target.host not in seen:
            seen.add(target.host)
            yield from _check_host(target, protected)
        if link.kind == "a" and target.host:
            yield from _check_words(link, target, author, is_list)
    for piece in view.texts:
        if piece.html is not None and (piece.html.has_form or piece.html.has_password):
            signal = "phish.password-form" if piece.html.has_password else "phish.form"
            yield make_reason(signal)


def _check_form(link: Link, target: Target) -> Iterator[Reason]:
    if target.scheme in _BAD_SCHEMES:
        yield make_reason("phish.bad-scheme", scheme=target.scheme)
    if target.is_address:
        yield make_reason("phish.address-link", host=target.host)
    if target.user and "." in target.user:
        yield make_reason("phish.user-in-link", user=printable(target.user), host=target.host)


def _check_host(target: Target, protected: Protected) -> Iterator[Reason]:
    if target.is_address:
        return
    if protected.domains or protected.brands:
        own = imitated(target.host, protected.all_domains)
        if own:
            yield make_reason("phish.lookalike-link", domain=printable(target.host), like=own)
    if "xn--" in target.host and _is_mixed_host(target.host):
        yield make_reason("phish.mixed-script-link", domain=printable(target.host))


def _is_mixed_host(host: str) -> bool:
    return is_mixed(to_unicode(host))


def _check_words(
    link: Link, target: Target, author: Person | None, is_list: bool
) -> Iterator[Reason]:
    shown = shown_domain(link.shown) if "." in link.shown else None
    if shown is None or _same_owner(shown, target.host):
        return
    # A newsletter shows its own or another's domain and leads to a click tracker.
    home = author.domain if author is not None else ""
    leads_home = home != "" and _same_owner(target.host, home)
    signal = "phish.list-link-names-other" if is_list or leads_home else "phish.link-names-other"
    yield make_reason(signal, shown=printable(shown), domain=printable(target.host))
