"""What makes a mail look as if somebody else had sent it, or a link lead elsewhere. Pure.

A weight is low where honest newsletters do the same: their click trackers show one domain and lead
to another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

from zajil.check.content.links import Target, read_target, shown_domain
from zajil.check.content.lookalike import (
    Imitated,
    has_turning_control,
    is_in_false_letters,
    is_mixed,
    skeleton,
)
from zajil.check.content.pressure_wording import borrowed_brand, has_pressure_wording
from zajil.check.facts import MessageFacts
from zajil.check.verdict.signals import make_reason, printable
from zajil.check.verdict.verdict import Reason
from zajil.core.domain import to_unicode
from zajil.dns.public_suffix import registered_domain
from zajil.message.header_view import Person
from zajil.message.html import Link
from zajil.message.view import MessageView

MAX_CHECKED = 100
"""Links that are looked at; a mail with more has said enough."""


# What everybody knows is imitated every day; each is the one domain of its owner's mail or pages.
BRANDS = frozenset(
    {
        *("paypal.com", "apple.com", "icloud.com", "microsoft.com", "office.com", "outlook.com"),
        *("google.com", "gmail.com", "amazon.com", "netflix.com", "facebook.com", "instagram.com"),
        *("whatsapp.com", "linkedin.com", "dropbox.com", "docusign.com", "adobe.com", "ebay.com"),
        *("yahoo.com", "spotify.com", "telegram.org", "github.com", "booking.com", "aramex.com"),
        *("fedex.com", "usps.com", "maersk.com", "royalmail.com", "bankofamerica.com"),
        *("wellsfargo.com", "citibank.com", "binance.com", "coinbase.com", "metamask.io"),
        *("alrajhibank.com.sa", "emiratesnbd.com"),
    }
)
_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 6
"""Words of a display name that are looked at."""


class Protected:
    """Names that strangers like to borrow, and that must not be borrowed."""

    def __init__(
        self,
        domains: Collection[str] = (),
        is_known_name: Callable[[str], bool] = lambda _: False,
        brands: Iterable[str] = (),
    ) -> None:
        """Take the names.

        Args:
            domains: ours; ASCII form, lower case.
            is_known_name: whether a skeleton of a display name is that of an account of ours.
            brands: domains of others that an operator named; ``BRANDS`` count in any case.
        """
        self.domains = frozenset(domains)
        self._is_known_name = is_known_name
        self._imitated = Imitated({*self.domains, *brands}, BRANDS)
        self._domain_names = frozenset(
            [form for one in self.domains for form in (one, skeleton(to_unicode(one)))]
        )

    def imitated(self, domain: str) -> str | None:
        """Return the domain that this one is made to be taken for; ``None``: none."""
        return self._imitated.find(domain)

    def is_ours(self, name: str) -> bool:
        """Whether a display name says a domain of ours, or somebody who lives there.

        Security: what stands around it (``Amal Haddad (CEO)``) does not hide it.
        """
        mine = skeleton(name)
        if self._is_known_name(mine):
            return True
        if "." in name and any(
            skeleton(word.strip("()[],:;'\"")) in self._domain_names for word in name.split()[:20]
        ):
            return True
        words = _WORD.findall(mine)[:_MOST_WORDS]
        return any(
            self._is_known_name(" ".join(words[start:end]))
            for start in range(len(words))
            for end in range(start + 2, len(words) + 1)
        )


NOBODY = Protected()


def check_phishing(
    view: MessageView, facts: MessageFacts, protected: Protected = NOBODY
) -> list[Reason]:
    """Return what speaks of deceit about the author or the links; usually nothing.

    Args:
        view: the mail.
        facts: who brought it.
        protected: names of ours.
    """
    reasons: list[Reason] = []
    author = view.author
    names = {field.name for field in view.fields}
    if author is not None:
        reasons += _check_author(view, author, facts, protected, is_list=b"list-id" in names)
    if not view.header.isascii() or b"=?" in view.header:
        reasons += _check_direction(view)
    if view.reply_to and author is not None:
        reasons += _check_reply_to(author, view.reply_to, protected)
    if view.links:
        is_list = not names.isdisjoint(_OF_LISTS)
        reasons += _check_links(view, author, protected, is_list=is_list)
    reasons += _check_forms(view)
    if any([reason.signal in _BORROWED for reason in reasons]) and has_pressure_wording(view):
        reasons.append(make_reason("phish.lure"))
    return _once(reasons)


_BORROWED = frozenset(
    {
        *("phish.name-shows-address", "phish.name-of-ours", "phish.brand-name"),
        *("phish.lookalike-author", "phish.false-letters-author", "phish.mixed-script-name"),
    }
)
_OF_LISTS = frozenset({b"list-unsubscribe", b"list-id"})


def _once(reasons: list[Reason]) -> list[Reason]:
    return list({reason.signal: reason for reason in reversed(reasons)}.values())[::-1]


_FOR_SOMEBODY = 1.0
"""What the name of an author weighs where a list or a helpdesk sends for somebody."""


# ---- who it says it is from ---------------------------------------------------------------------

_ADDRESS = re.compile(r"[\w.+-]{1,64}+@([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})")


def _check_author(
    view: MessageView, author: Person, facts: MessageFacts, protected: Protected, *, is_list: bool
) -> Iterator[Reason]:
    name, domain = author.written_name, author.domain
    # Security: fullwidth and small at signs read as one.
    shown = _ADDRESS.search(name.replace("＠", "@").replace("﹫", "@")) if name else None
    if shown and domain and not _same_owner(shown[1].lower(), domain):
        # A list that may not send in its writers' names says: "amal@north.test via pigeons". A
        # helpdesk writes so too, and whoever answers reaches the one whose address is shown.
        answered = {person.address.lower() for person in view.reply_to[:20]}
        is_sent_for = is_list or shown[0].lower() in answered
        yield make_reason(
            "phish.name-shows-address",
            weight=_FOR_SOMEBODY if is_sent_for else None,
            shown=printable(shown[0]),
            real=printable(author.address),
        )
    if name and is_mixed(name):
        yield make_reason("phish.mixed-script-name", name=printable(name))
    if not domain or facts.login is not None:
        return
    if own := protected.imitated(domain):
        yield make_reason("phish.lookalike-author", domain=_both(domain), like=to_unicode(own))
    elif is_in_false_letters(domain):
        yield make_reason("phish.false-letters-author", domain=_both(domain))
    elif brand := borrowed_brand(name, domain):
        yield make_reason("phish.brand-name", brand=brand, domain=_both(domain))
    if not shown and name and domain not in protected.domains and protected.is_ours(name):
        # Lists that may not send in the names of their writers keep the names.
        yield make_reason(
            "phish.name-of-ours",
            weight=_FOR_SOMEBODY if is_list else None,
            name=printable(name),
            real=printable(author.address),
        )


def _both(domain: str) -> str:
    """Return a domain as it is shown and, if that is something else, as it is."""
    shown = to_unicode(domain)
    return printable(domain if shown == domain else f"{shown} ({domain})", 160)


def _check_direction(view: MessageView) -> Iterator[Reason]:
    if view.author is not None and has_turning_control(view.author.written_name):
        yield make_reason("phish.direction-control", place="From")
    elif has_turning_control(view.subject):
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
        if own := protected.imitated(person.domain):
            yield make_reason(
                "phish.lookalike-reply-to", domain=_both(person.domain), like=to_unicode(own)
            )
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
    view: MessageView, author: Person | None, protected: Protected, *, is_list: bool
) -> Iterator[Reason]:
    seen: set[str] = set()
    for link in islice(view.links, MAX_CHECKED):
        target = read_target(link.target)
        if target is None:
            continue
        yield from _check_target(link, target)
        if target.host and target.host not in seen:
            seen.add(target.host)
            yield from _check_host(target, protected)
        if link.kind == "a" and target.host:
            yield from _check_words(link, target, author, is_list)


def _check_forms(view: MessageView) -> Iterator[Reason]:
    for piece in view.texts:
        if piece.html is not None and (piece.html.has_form or piece.html.has_password):
            signal = "phish.password-form" if piece.html.has_password else "phish.form"
            yield make_reason(signal)


def _check_target(link: Link, target: Target) -> Iterator[Reason]:
    if target.scheme in _BAD_SCHEMES:
        yield make_reason("phish.bad-scheme", scheme=target.scheme)
    if target.is_address:
        yield make_reason("phish.address-link", host=target.host)
    if target.user and "." in target.user:
        yield make_reason("phish.user-in-link", user=printable(target.user), host=target.host)


def _check_host(target: Target, protected: Protected) -> Iterator[Reason]:
    if target.is_address:
        return
    if own := protected.imitated(target.host):
        yield make_reason("phish.lookalike-link", domain=_both(target.host), like=to_unicode(own))
    elif is_in_false_letters(target.host):
        yield make_reason("phish.false-letters-link", domain=_both(target.host))


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
    yield make_reason(signal, shown=_both(shown), domain=_both(target.host))
