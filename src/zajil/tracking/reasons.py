"""Sentences of the checks and of delivery, as events keep them, and how to find them again. Pure.

Events hold reasons as English text: it is what goes into the log, into reports and to the command
line. Here are their patterns, each a key of the catalogs in ``web/locale``, so that a page can tell
a reason in its reader's language. What fits no pattern (replies of other servers, header fields) is
shown as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from zajil.tracking.check_names import mark
from zajil.tracking.sentences import Sentence

_LONGEST = 2000
"""Characters of a reason that is read."""
_MOST = 20
"""Sentences of one reason."""
_DEEPEST = 3
"""Reasons within reasons: "No key for the seal of ARC set 1: the key was revoked." has two."""
_NESTED = frozenset({"what", "why"})
"""Places that hold a reason themselves."""
_WORDS = frozenset(
    {
        *("answers", "brand", "detail", "error", "lists", "member", "methods", "name", "question"),
        *("reply", "shown", "symbols", "term", "tls", "user", "what", "why", "words"),
    }
)
"""Places whose value may have spaces."""

REASONS = (
    # The server and the checks
    mark("{ip} has no name in DNS"),
    mark("{ip} is {name}, and {name_again} is {ip_again}"),
    mark("{ip} is called {name}, and that name does not lead back to it"),
    mark("DNS did not answer for the name of {ip}"),
    mark("{ip} is listed by {lists}"),
    mark("{ip} is in none of our lists"),
    mark("{what}, and not all of them answered"),
    mark("{zone} was not asked: {why}"),
    mark("it does not answer ({detail})"),
    mark("it refuses to answer us ({answers})"),
    mark("it does not list {ip}"),
    mark("it lists {ip}, and so perhaps everybody"),
    mark("The form of the message is right."),
    mark("ClamAV found no malware."),
    mark("Rspamd gives it {score}. {symbols}"),
    mark("it is too large"),
    mark("it is larger than the scanner takes"),
    mark("it did not answer in time"),
    mark("it is away ({error})"),
    mark("it answered {code}"),
    mark("its answer was not understood"),
    mark("Who brought the mail is not known here, so only a signature could have proven it."),
    mark("DNS gave no answer for the key of {domain}, which may vouch for it."),
    mark("The logo of {domain} is at {url}."),
    mark("{domain} wants no logo to be shown."),
    # SPF (RFC 7208)
    mark("{ip} may send mail for {domain} ({term})"),
    mark("{ip} is not among the servers {domain} sends from ({term})"),
    mark("{ip} is probably not among the servers {domain} sends from ({term})"),
    mark("{domain} does not say whether {ip} may send for it ({term})"),
    mark("{domain} does not say whether {ip} may send for it"),
    mark("{what}, by the record of {domain}"),
    mark("{domain} has no SPF record"),
    mark("{name} is not a domain that could have a policy"),
    mark("the record of {domain} redirects to no domain"),
    mark("{domain} redirects to {name}, which has no SPF record"),
    mark("DNS did not answer for the SPF record of {domain}"),
    mark("{domain} has {count} SPF records, where one is allowed"),
    mark("the SPF record of {domain} is malformed: {why}"),
    mark("the record of {domain} includes what is no domain"),
    mark("{domain} includes {name}, which has no SPF record"),
    mark("{domain} has more than {count} mail hosts"),
    mark("the SPF record of {domain} asks more than {count} times"),
    mark("the SPF record of {domain} names more than {count} hosts that do not exist"),
    mark("DNS did not answer for {question} of {name}"),
    mark("it is too long"),
    mark("{name} stands there twice"),
    mark("{term}: all takes no value"),
    mark("{term} names no domain"),
    mark("{term}: ptr takes no prefix length"),
    mark("there is no mechanism {name}"),
    mark("{term} has a malformed prefix length"),
    mark("{term} has a prefix length over {count}"),
    mark("{term} names no network"),
    mark("{term} is no text of a record"),
    mark("{term} does not end like a domain"),
    mark("the macro {name} is for explanations"),
    mark("a macro keeps one part at least"),
    # DKIM (RFC 6376)
    mark("It has no DKIM signature."),
    mark("{domain} signed this message, and it was not changed."),
    mark(
        "The header section was changed after {domain} signed it, or the signature is "
        "not by this key."
    ),
    mark(
        "The header section was changed after {domain} signed it, and the body too, or "
        "the signature is not by this key."
    ),
    mark("The body was changed after {domain} signed it (body hash differs)."),
    mark("A part of the body that {domain} signed is missing (l={size})."),
    mark(
        "{domain} signed only the first {size} octets of the body (l=); anybody may have "
        "added the rest."
    ),
    mark("{count} more signatures were not looked at, only the first {limit}."),
    mark("The signature of {domain} has expired."),
    mark("The signature of {domain} is from the future."),
    mark("The key is not one for {algorithm}."),
    mark("The key allows no identity below {domain}."),
    mark("Too many signatures of parts of the body (l=)."),
    mark("DNS did not answer for {name}."),
    mark("DNS did not answer for {name} ({detail})."),
    mark("There is no key at {name}."),
    mark("The key record is too long."),
    mark("The key record is not of version DKIM1."),
    mark("The key record has no tag p=."),
    mark("The key was revoked."),
    mark("The key is not for mail."),
    mark("The key does not allow SHA-256."),
    mark("The key record holds no Ed25519 key."),
    mark("The key record is of an unknown kind."),
    mark("The key record holds no RSA key."),
    mark("The key has {size} bits, less than {limit} prove nothing."),
    mark("The key has {size} bits, more than {limit} are not taken."),
    mark("The key has an exponent that nobody uses."),
    mark("The signature is not of version 1."),
    mark("The signature's key is not in DNS."),
    mark("The signature does not cover From."),
    mark("The signature ends before it begins (x= and t=)."),
    mark("The signature uses SHA-1, which proves nothing any more."),
    mark("The signature uses an algorithm we do not know."),
    mark("The signature uses a canonicalization we do not know."),
    mark("The signature has no domain in d=."),
    mark("The signature has no domain name in {name}=."),
    mark("The signature has no identity in i=."),
    mark("The identity in i= is not of {domain}."),
    mark("The signature has no list of fields in h=."),
    mark("{what} has too many tags"),
    mark("{what} has a control character in it"),
    mark("{what} has a tag without a value"),
    mark("{what} has the tag {name}= twice"),
    mark("{what} has a tag whose name is none"),
    mark("{what} has no tags"),
    mark("{what} has no tag {name}="),
    mark("{what} has no base64 in {name}="),
    mark("{what} has an empty {name}="),
    mark("{what} has no number in {name}="),
    mark("the signature"),
    mark("the key record"),
    # ARC (RFC 8617)
    mark("Nobody on its way added an ARC set."),
    mark("{domain} sealed the mail, and the seal is whole."),
    mark("{count} handlers sealed the mail, the last was {domain}; the chain is whole."),
    mark("In ARC set {count}, {why}."),
    mark("Too many parts of the body are signed to check {what}."),
    mark("{what} has expired."),
    mark("the message signature of ARC set {count}"),
    mark("the seal of ARC set {count}"),
    mark("The body was changed after {domain} sealed the mail."),
    mark("The header section was changed after {domain} sealed the mail."),
    mark("The ARC sets were changed after {domain} sealed them."),
    mark("No key for {what}: {why}."),
    mark("It has more than {count} ARC sets, or very large ones."),
    mark("ARC set {count} says that the chain was broken before."),
    mark("The seal of ARC set {count} does not say cv={value}."),
    mark("Its {name} has no instance from 1 to {count} in i=."),
    mark("ARC set {count} has two {name} fields."),
    mark("ARC set {count} is not complete."),
    mark("the ARC message signature covers a seal"),
    mark("the seal has h=, which RFC 8617 section 4.1.3 forbids"),
    mark("the seal has another c= than RFC 8617 section 4.1.3 knows"),
    mark("the ARC message signature"),
    mark("the seal"),
    mark("Its {field}"),
    # DMARC (RFC 9989)
    mark("From names no domain, so nobody can be asked."),
    mark("From names more authors than anybody can stand behind."),
    mark("{name} is no domain name."),
    mark("{domain} has no DMARC policy."),
    mark("DNS gave no answer for the DMARC policy of {domain}."),
    mark("The DMARC record of {domain} names no policy."),
    mark("{methods} proved that it comes from {domain}."),
    mark("DNS gave no answer, so it is not known whether it comes from {domain}."),
    mark(
        "Neither SPF nor DKIM proved that it comes from {domain}, and {owner} asks for "
        "nothing in that case."
    ),
    mark(
        "Neither SPF nor DKIM proved that it comes from {domain}, and {owner} asks to "
        "treat such mail as suspicious."
    ),
    mark(
        "Neither SPF nor DKIM proved that it comes from {domain}, and {owner} asks to "
        "refuse such mail."
    ),
    mark("SPF and DKIM"),
    # DNS answers
    mark("{question} -> no such name"),
    mark("{question} -> no records"),
    mark("{question} -> not a name DNS can hold"),
    mark("{question} -> no name server"),
    mark("{question} -> CNAME chain too long"),
    mark("{question} -> timeout"),
    # Sessions
    mark("quit"),
    mark("peer closed"),
    mark("timeout"),
    mark("shutdown"),
    mark("credentials changed"),
    mark("command before the greeting"),
    mark("too many errors"),
    mark("bytes after STARTTLS"),
    mark("connection lost: {error}"),
    mark("TLS failed: {why}"),
    mark("unknown peer"),
    mark("errors"),
    mark("wrong login or password for {service}"),
    mark("removed {field}"),
    mark("added {field}"),
    # Delivery
    mark("{count} delivered"),
    mark("{count} deferred"),
    mark("{count} failed"),
    mark("{count} expired"),
    mark("{count} untried"),
    mark("{tls}, certificate verified"),
    mark("{tls}, certificate not verified"),
    mark("no end after {count} seconds"),
    mark("interrupted by us"),
    mark("no host gave an answer"),
    mark("The sender is the null path: bounces are not bounced."),
    mark("The sender does not exist here."),
    mark("The mailbox of the sender is gone."),
    mark("The report could not be written: a fault of ours."),
    mark("Nobody is told of failures: the sender asked for that, or the mail looked like junk."),
    mark("the peer read nothing for {count} seconds"),
    mark("no reply within {count} seconds"),
    mark("bad reply: {error}"),
    mark("the peer closed the connection"),
    mark("the account does not exist any more"),
    mark("the recipient rejects it"),
    mark("the mailbox was deleted just now"),
    mark("the message is not in the store any more"),
    mark("the store is not available: {error}"),
    mark("{error} in a delivery attempt"),
    mark("a fault in this server; it was recorded"),
    mark("it was never tried"),
    mark("no connection within {count} seconds"),
    mark("cannot connect to {ip}: {error}"),
    mark("TLS is demanded, and we have no context for it"),
    mark("{host} does not offer STARTTLS"),
    mark("{host} refused STARTTLS: {reply}"),
    mark("{host} does not offer REQUIRETLS"),
    mark("certificate not valid: {error}"),
    mark("no handshake in time"),
    mark("{host} takes messages up to {limit} bytes; this one has {size}"),
    mark("{host} does not take mail with UTF-8 addresses or header fields"),
    mark("{host} does not promise to go on encrypted (REQUIRETLS)"),
    mark("{what} (after the whole message was sent)"),
    mark("the message may not leave: {error}"),
    mark("{name} is not a domain name"),
    mark("DNS did not answer for {name}"),
    mark("the domain {domain} does not exist"),
    mark("the domain {domain} takes no mail (null MX)"),
    mark("mail for {domain} would come back to this server"),
    mark("DNS did not answer for the mail hosts of {domain}"),
    mark("no mail host of {domain} has an address"),
    mark("{name} is not an address literal"),
    mark("nobody can be reached at {name}"),
    mark("Another address of the same account was named: there is one copy for both."),
    mark("The checks found it unwanted."),
    mark("Nothing speaks against it."),
    mark("set aside: what the store says of this recipient cannot be read ({error})"),
)
"""Patterns of the reasons that events hold; a dot at the end and the case of the first letter may
differ."""


class ReasonReader:
    """Finds the pattern of a reason.

    Args:
        patterns: ``REASONS`` and whatever else a reason may quote.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        # Of two that fit, the one that says more is meant.
        longest_first = sorted(dict.fromkeys(patterns), key=lambda one: -len(_PLACE.sub("", one)))
        self._patterns = [_Pattern(text) for text in longest_first]

    def read(self, reason: str) -> tuple[Sentence, ...]:
        """Give the sentences of a reason; empty: it is not one of ours, or not as a whole."""
        if len(reason) > _LONGEST:
            return ()
        return self._read(reason.strip(), 0) or self._read_each(reason.strip())

    def _read(self, reason: str, depth: int) -> tuple[Sentence, ...]:
        one = self._read_one(reason, depth)
        if one is not None:
            return (one,)
        found: list[Sentence] = []
        pieces = reason.split(". ")[: _MOST + 1]
        while pieces and len(found) < _MOST:
            for end in range(len(pieces), 0, -1):
                sentence = self._read_one(". ".join(pieces[:end]), depth)
                if sentence is not None:
                    found.append(sentence)
                    pieces = pieces[end:]
                    break
            else:
                return ()
        return tuple(found)

    def _read_each(self, reason: str) -> tuple[Sentence, ...]:
        """Read a list: "1 delivered, 2 deferred"."""
        found = [self._read_one(one, 0) for one in reason.split(", ")[:_MOST]]
        return () if None in found else tuple(one for one in found if one is not None)

    def _read_one(self, reason: str, depth: int) -> Sentence | None:
        for pattern in self._patterns:
            found = pattern.read(reason)
            if found is None:
                continue
            values: dict[str, str | int | Sentence] = dict(found)
            for name in _NESTED & values.keys():
                inner = self._read_one(found[name], depth + 1) if depth < _DEEPEST else None
                if inner is None and name == "what":
                    break
                values[name] = inner or found[name]
            else:
                return Sentence(pattern.text, values)
        return None


# A domain may stand there twice: "زاجل.test (xn--mgbkq8e.test)".
_ONE_NAME = r"\S+?(?: \([^\s()]+\))?"
_PLACE = re.compile(r"\{(\w+)\}")


class _Pattern:
    """One text with places, and the expression that finds it."""

    def __init__(self, text: str) -> None:
        self.text = text
        literals = _PLACE.split(text)[::2]
        self._longest = max(literals, key=len)[1:].removesuffix(".")

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        # Security: values come from strangers. Most have no space, and each literal between them
        # has one, so that little is tried twice.
        pieces = _PLACE.split(self.text.removesuffix("."))
        for at, piece in enumerate(pieces):
            if at % 2 == 0:
                pieces[at] = re.escape(piece)
            else:
                kind = "[^,]+?" if piece == "what" else ".+?" if piece in _WORDS else _ONE_NAME
                pieces[at] = f"(?P<{piece}>{kind})"
        first = self.text[0]
        if first.isalpha():
            pieces[0] = f"[{first.lower()}{first.upper()}]{pieces[0][1:]}"
        return re.compile("".join(pieces) + r"\.?\Z", re.DOTALL)

    def read(self, reason: str) -> dict[str, str] | None:
        """Give the values of the places; ``None``: it does not fit."""
        if self._longest not in reason:
            return None
        match = self._expression.match(reason)
        return match.groupdict() if match is not None else None
