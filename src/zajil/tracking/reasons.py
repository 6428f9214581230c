"""Reasons of the checks and of delivery, as events store them, and their patterns. Pure.

Events store reasons as English text for the log, reports and the command line. The patterns here
are keys of the catalogs in ``web/locale``, so that a page can show a reason in the language of its
reader. Text that matches no pattern (replies of other servers, header fields) is shown unchanged.
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
    mark("{ip} has no host name in DNS"),
    mark("{ip} resolves to {name}, and {name_again} resolves to {ip_again}"),
    mark("{ip} resolves to {name}, which does not resolve to that address"),
    mark("DNS lookup of the host name of {ip} failed"),
    mark("{ip} is listed in {lists}"),
    mark("{ip} is not listed"),
    mark("{what}, but some lists did not respond"),
    mark("{zone} was not queried: {why}"),
    mark("the list does not respond ({detail})"),
    mark("the list refuses our queries ({answers})"),
    mark("the list does not contain its test entry {ip}"),
    mark("the list contains {ip} and may contain every address"),
    mark("The message is well-formed."),
    mark("ClamAV found no malware."),
    mark("Rspamd assigned a score of {score}. {symbols}"),
    mark("the message is too large"),
    mark("the message exceeds the size limit of the scanner"),
    mark("the scanner timed out"),
    mark("the scanner is not available ({error})"),
    mark("the scanner returned {code}"),
    mark("the scanner returned an invalid response"),
    mark("The sending server is unknown, so only a signature can authenticate the message."),
    mark("DNS lookup of the DKIM key of {domain} failed, so the message may be authentic."),
    mark("The logo of {domain} is at {url}."),
    mark("{domain} does not want a logo to be shown."),
    # SPF (RFC 7208)
    mark("{domain} authorizes {ip} to send its mail ({term})"),
    mark("{domain} does not authorize {ip} to send its mail ({term})"),
    mark("{domain} probably does not authorize {ip} to send its mail ({term})"),
    mark("{domain} does not state whether {ip} may send its mail ({term})"),
    mark("{domain} does not state whether {ip} may send its mail"),
    mark("{what}, according to the record of {domain}"),
    mark("{domain} has no SPF record"),
    mark("{name} is not a domain that can have a policy"),
    mark("the SPF record of {domain} redirects to an invalid domain"),
    mark("{domain} redirects to {name}, which has no SPF record"),
    mark("DNS lookup of the SPF record of {domain} failed"),
    mark("{domain} has {count} SPF records; only one is allowed"),
    mark("the SPF record of {domain} is malformed: {why}"),
    mark("the SPF record of {domain} includes an invalid domain"),
    mark("{domain} includes {name}, which has no SPF record"),
    mark("{domain} has more than {count} mail hosts"),
    mark("the SPF record of {domain} requires more than {count} DNS lookups"),
    mark("the SPF record of {domain} causes more than {count} DNS lookups without a result"),
    mark("DNS lookup of {question} for {name} failed"),
    mark("the record is too long"),
    mark("{name} occurs twice"),
    mark('{term}: the mechanism "all" takes no value'),
    mark("{term} has no domain"),
    mark('{term}: the mechanism "ptr" takes no prefix length'),
    mark("the mechanism {name} is unknown"),
    mark("{term} has an invalid prefix length"),
    mark("{term} has a prefix length greater than {count}"),
    mark("{term} has no valid network address"),
    mark("{term} contains characters that are not allowed"),
    mark("{term} does not end with a domain label"),
    mark("the macro {name} is allowed in explanations only"),
    mark("a macro must keep at least one label"),
    # DKIM (RFC 6376)
    mark("The message has no DKIM signature."),
    mark("The signature of {domain} is valid."),
    mark(
        "The signature of {domain} does not match: the header section was changed, "
        "or another key was used."
    ),
    mark(
        "The signature of {domain} does not match: the header section and the body "
        "were changed, or another key was used."
    ),
    mark("The body was changed after {domain} signed it (body hash mismatch)."),
    mark("The body is shorter than the part that {domain} signed (l={size})."),
    mark(
        "{domain} signed only the first {size} bytes of the body (l=); the rest is "
        "not authenticated."
    ),
    mark("Only the first {limit} signatures were verified; {count} more were ignored."),
    mark("The signature of {domain} has expired."),
    mark("The signature of {domain} has a time in the future."),
    mark("The key is not valid for {algorithm}."),
    mark("The key does not allow identities in subdomains of {domain}."),
    mark("The message has too many signatures with a body length (l=)."),
    mark("DNS lookup of {name} failed."),
    mark("DNS lookup of {name} failed ({detail})."),
    mark("No key was found at {name}."),
    mark("The key record is too long."),
    mark("The key record has a version other than DKIM1."),
    mark("The key record has no p= tag."),
    mark("The key was revoked."),
    mark("The key is not intended for mail."),
    mark("The key does not allow SHA-256."),
    mark("The key record contains no valid Ed25519 key."),
    mark("The key record has an unknown key type."),
    mark("The key record contains no valid RSA key."),
    mark("The key has {size} bits; at least {limit} are required."),
    mark("The key has {size} bits; at most {limit} are supported."),
    mark("The key has an unusual exponent."),
    mark("The signature has a version other than 1."),
    mark("The signature uses an unsupported key query method."),
    mark("The signature does not cover the From field."),
    mark("The signature expires before it was made (x= and t=)."),
    mark("The signature uses SHA-1, which is no longer secure."),
    mark("The signature uses an unknown algorithm."),
    mark("The signature uses an unknown canonicalization."),
    mark("The signature has no domain in d=."),
    mark("The signature has no domain name in {name}=."),
    mark("The signature has no identity in i=."),
    mark("The identity in i= is not in {domain}."),
    mark("The signature has no list of fields in h=."),
    mark("{what} has too many tags"),
    mark("{what} contains a control character"),
    mark("{what} has a tag without a value"),
    mark("{what} has the tag {name}= twice"),
    mark("{what} has a tag with an invalid name"),
    mark("{what} has no tags"),
    mark("{what} has no tag {name}="),
    mark("{what} has invalid base64 in {name}="),
    mark("{what} has an empty {name}="),
    mark("{what} has an invalid number in {name}="),
    mark("the signature"),
    mark("the key record"),
    # ARC (RFC 8617)
    mark("The message has no ARC sets."),
    mark("The ARC seal of {domain} is valid."),
    mark("The ARC chain of {count} sets is valid; the last seal is from {domain}."),
    mark("In ARC set {count}, {why}."),
    mark("Too many body lengths are signed to verify {what}."),
    mark("{what} has expired."),
    mark("the message signature of ARC set {count}"),
    mark("the seal of ARC set {count}"),
    mark("The body was changed after {domain} sealed the message."),
    mark("The header section was changed after {domain} sealed the message."),
    mark("The ARC sets were changed after {domain} sealed them."),
    mark("There is no key for {what}: {why}."),
    mark("The message has more than {count} ARC sets, or they are too large."),
    mark("ARC set {count} states that the chain was already broken."),
    mark("The seal of ARC set {count} does not have cv={value}."),
    mark("The {name} field has no instance number from 1 to {count} in i=."),
    mark("ARC set {count} has two {name} fields."),
    mark("ARC set {count} is not complete."),
    mark("the ARC message signature covers a seal"),
    mark("the seal has h=, which RFC 8617 section 4.1.3 forbids"),
    mark("the seal has a c= that RFC 8617 section 4.1.3 does not define"),
    mark("the ARC message signature"),
    mark("the seal"),
    mark("The {field} field"),
    # DMARC (RFC 9989)
    mark("The From field has no domain."),
    mark("The From field has too many addresses."),
    mark("{name} is not a domain name."),
    mark("{domain} has no DMARC policy."),
    mark("DNS lookup of the DMARC policy of {domain} failed."),
    mark("The DMARC record of {domain} has no policy."),
    mark("{methods} confirmed that the message is from {domain}."),
    mark("DMARC could not be checked for {domain} because a DNS lookup failed."),
    mark(
        "Neither SPF nor DKIM confirmed that the message is from {domain}; the "
        "policy of {owner} is none."
    ),
    mark(
        "Neither SPF nor DKIM confirmed that the message is from {domain}; the "
        "policy of {owner} is to quarantine it."
    ),
    mark(
        "Neither SPF nor DKIM confirmed that the message is from {domain}; the "
        "policy of {owner} is to reject it."
    ),
    mark("SPF and DKIM"),
    # DNS answers
    mark("{question} -> no such name"),
    mark("{question} -> no records"),
    mark("{question} -> invalid DNS name"),
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
    mark("invalid login or password for {service}"),
    mark("removed {field}"),
    mark("added {field}"),
    # Delivery
    mark("{count} delivered"),
    mark("{count} deferred"),
    mark("{count} failed"),
    mark("{count} expired"),
    mark("{count} not attempted"),
    mark("{tls}, certificate verified"),
    mark("{tls}, certificate not verified"),
    mark("{tls}, certificate confirmed by DANE"),
    mark("no completion after {count} seconds"),
    mark("interrupted by this server"),
    mark("no host responded"),
    mark("The sender is empty: no bounce is sent for a bounce."),
    mark("The sender does not exist on this server."),
    mark("The mailbox of the sender no longer exists."),
    mark("The bounce message could not be created because of an internal error."),
    mark("No bounce is sent: the sender requested none, or the message was classified as junk."),
    mark("the peer did not read data for {count} seconds"),
    mark("no reply within {count} seconds"),
    mark("invalid reply: {error}"),
    mark("the peer closed the connection"),
    mark("the account no longer exists"),
    mark("the mailbox is full"),
    mark("the recipient rejects it"),
    mark("the mailbox no longer exists"),
    mark("the message is no longer in the store"),
    mark("the store is not available: {error}"),
    mark("{error} during a delivery attempt"),
    mark("an internal error on this server; it was logged"),
    mark("no delivery attempt was made"),
    mark("no connection within {count} seconds"),
    mark("cannot connect to {ip}: {error}"),
    mark("TLS is required but not configured"),
    mark("{host} does not offer STARTTLS"),
    mark("{host} refused STARTTLS: {reply}"),
    mark("{host} does not offer REQUIRETLS"),
    mark("the MTA-STS policy of {domain} permits none of its mail servers"),
    mark("the certificate of {host} does not match its TLSA records"),
    mark("DNS lookup of the TLSA records of {host} failed"),
    mark("{host} does not offer a log-in (AUTH)"),
    mark("{host} offers only {methods} for the log-in"),
    mark("{host} refused the log-in: {reply}"),
    mark("the log-in at {host} with {name} failed: {error}"),
    mark("the challenge is not base64"),
    mark("{host} did not prove that it knows the password"),
    mark("{host} requires a log-in or encryption: {reply}"),
    mark("the connection is not secure enough for a log-in"),
    mark("DNS lookup of the relay {host} failed"),
    mark("DNS has no address of the relay {host}"),
    mark("certificate not valid: {error}"),
    mark("the TLS handshake timed out"),
    mark("the message has {size} bytes; {host} accepts at most {limit}"),
    mark("{host} does not support UTF-8 addresses or header fields (SMTPUTF8)"),
    mark("{host} does not support REQUIRETLS"),
    mark("{what} (after the whole message was sent)"),
    mark("the message cannot be sent: {error}"),
    mark("{name} is not a domain name"),
    mark("DNS lookup of {name} failed"),
    mark("the domain {domain} does not exist"),
    mark("the domain {domain} does not accept mail (null MX)"),
    mark("mail for {domain} would loop back to this server"),
    mark("DNS lookup of the mail servers of {domain} failed"),
    mark("no mail server of {domain} has an address"),
    mark("{name} is not an address literal"),
    mark("the address {name} cannot be reached"),
    mark("Another recipient address of the same account received the message."),
    mark("The message was classified as junk."),
    mark("The message passed the checks."),
    mark("on hold: the stored data of this recipient cannot be read ({error})"),
    mark("not tried yet"),
    # Certificates (ACME)
    mark("cannot reach the authority at {url}: {error}"),
    mark("the authority could not verify the name by {detail}"),
    mark("the authority did not finish in time"),
    mark("the authority gave an unexpected answer: {error}"),
    mark("the authority issued a certificate that cannot be used: {error}"),
    mark("the authority issued a certificate for another key"),
    mark("DNS does not answer for {name}"),
    mark("there is no A or AAAA record of {name}"),
    mark("{name} leads to {words}, which is not an address of {host}"),
    mark("the authority requires an external account: set acme.eab_key_id and acme.eab_hmac_key"),
    mark("the authority offers no {method} for this name, only {detail}"),
)
"""Patterns of the reasons that events hold; a dot at the end and the case of the first letter may
differ."""


SYSTEM_ERRORS = frozenset(
    {
        mark("Address already in use"),
        mark("Cannot assign requested address"),
        mark("Connection refused"),
        mark("Connection reset by peer"),
        mark("Connection timed out"),
        mark("Disk quota exceeded"),
        mark("File exists"),
        mark("Input/output error"),
        mark("Is a directory"),
        mark("Network is unreachable"),
        mark("No route to host"),
        mark("No space left on device"),
        mark("No such file or directory"),
        mark("Not a directory"),
        mark("Operation not permitted"),
        mark("Permission denied"),
        mark("Read-only file system"),
        mark("Too many open files"),
        mark("its certificate is not trusted (acme.ca_file names further roots)"),
        mark("time-out"),
    }
)
"""What the operating system says of a failure (``strerror``), and our client of an authority; keys
of the catalogs. They stand in the places ``ERROR_PLACES`` of sentences."""
ERROR_PLACES = frozenset({"error", "reason"})


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
        """Return the sentences of a reason; empty: it is not one of ours, or not as a whole."""
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
        """Return the values of the places; ``None``: it does not fit."""
        if self._longest not in reason:
            return None
        match = self._expression.match(reason)
        return match.groupdict() if match is not None else None
