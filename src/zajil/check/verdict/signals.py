"""Every signal the checks can give: its weight and its sentence. Pure.

One closed list, so one file, long as it is. A sentence is the key of the catalogs in
``web/locale``; its places in braces are filled with what was found.

Laws:
- A name, once released, keeps its meaning: verdicts that are stored name it.
- A positive weight speaks against the mail, a negative one for it. Junk begins at 5: alone that is
  reached only by what no honest mail does, by a policy, or by what the reader himself has said.
- A demand settles the verdict alone (decision 0007, law 5).
"""

from __future__ import annotations

from dataclasses import dataclass

from zajil.check.verdict.verdict import Action, Reason
from zajil.tracking.check_names import mark


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that may be said of a mail."""

    weight: float
    text: str
    demands: Action | None = None
    is_proof: bool = False
    """A proven lie, or a listed peer: the score may then refuse the mail, not only junk it."""
    asks_refusal: bool = False
    """The policy of the author's domain: with one more bad sign the mail is refused."""


SIGNALS: dict[str, Signal] = {
    # ---- form ---------------------------------------------------------------------------------
    "format.loop": Signal(
        10.0, mark("It passed too many servers: it goes in circles."), Action.REJECT
    ),
    "format.header-size": Signal(
        10.0, mark("Its header section is larger than we take."), Action.REJECT
    ),
    "format.no-from": Signal(5.0, mark("It does not say who wrote it (no From).")),
    "format.repeated-from": Signal(5.0, mark("It names its author more than once.")),
    "format.bad-from": Signal(2.0, mark("Its From is no valid address.")),
    "format.no-date": Signal(0.25, mark("It has no Date.")),
    "format.bad-line": Signal(1.0, mark("Its header section has a malformed line.")),
    "format.repeated-field": Signal(
        1.5, mark("It has {count} {field} fields, where one is allowed.")
    ),
    "format.8bit-header": Signal(
        0.5, mark("Its header section has raw 8-bit text that was not announced.")
    ),
    "format.long-line": Signal(0.5, mark("It has a line of more than 998 octets.")),
    # ---- faults of our own --------------------------------------------------------------------
    "check.failed": Signal(
        5.0, mark("It could not be checked completely: an internal error occurred.")
    ),
    # ---- the peer -----------------------------------------------------------------------------
    "peer.listed": Signal(3.0, mark("{ip}, which brought it, is listed by {list}."), is_proof=True),
    "peer.vouched": Signal(-1.0, mark("{ip}, which brought it, is of good name by {list}.")),
    "peer.no-name": Signal(1.0, mark("The server that brought it has no name in DNS.")),
    "peer.unconfirmed-name": Signal(
        0.5, mark("The name of the server that brought it does not lead back to it.")
    ),
    "peer.helo-ours": Signal(
        3.0, mark("The server that brought it pretended to be {name}, which is us."), is_proof=True
    ),
    "peer.helo-other-address": Signal(
        1.0, mark("The server that brought it introduced itself with an address not its own.")
    ),
    "peer.helo-bare-address": Signal(
        1.0, mark("The server that brought it introduced itself with a bare address.")
    ),
    "peer.helo-no-domain": Signal(
        0.5, mark("The server that brought it introduced itself as {name}, which is no domain.")
    ),
    # ---- who sent it --------------------------------------------------------------------------
    "spf.fail": Signal(2.0, mark("{domain} says that {ip} may not send its mail (SPF).")),
    "spf.softfail": Signal(
        0.5, mark("{domain} says that {ip} should not send its mail (SPF, softfail).")
    ),
    "spf.helo-fail": Signal(
        1.5, mark("The server called itself {domain}, and {domain} says that it is not (SPF).")
    ),
    "dkim.fail": Signal(
        0.5,
        mark(
            "DKIM failed: the header section was changed after {domain} signed it, or it did not."
        ),
    ),
    "dkim.fail-body": Signal(
        0.5,
        mark("DKIM failed: the body was changed after {domain} signed it (body hash differs)."),
    ),
    "dkim.partial": Signal(
        1.5, mark("{domain} signed only the beginning of the text (DKIM); who wrote the rest?")
    ),
    "dmarc.pass": Signal(-0.5, mark("It is proven that the mail comes from {domain} (DMARC).")),
    "dmarc.fail": Signal(0.5, mark("Nothing proves that the mail comes from {domain} (DMARC).")),
    "dmarc.fail-quarantine": Signal(
        5.0,
        mark("Nothing proves that the mail comes from {domain}, which says to suspect such mail."),
    ),
    "dmarc.fail-reject": Signal(
        6.0,
        mark("Nothing proves that the mail comes from {domain}, which says to refuse such mail."),
        asks_refusal=True,
    ),
    "dmarc.many-authors": Signal(
        5.0,
        mark("It names so many authors that none of them can be proven (DMARC)."),
        Action.REJECT,
    ),
    "dmarc.name-fail": Signal(
        2.5,
        mark(
            "The name of its author shows an address of {domain}, "
            "which says to refuse or suspect mail that it did not send."
        ),
    ),
    "dmarc.absent-author": Signal(1.5, mark("The domain of its author, {domain}, does not exist.")),
    "dmarc.not-asked": Signal(
        0.0,
        mark(
            "DNS could not be asked whether it comes from {domain}: "
            "its sender was asked to try again later."
        ),
        Action.DEFER,
    ),
    "arc.trusted": Signal(
        0.0,
        mark("{sealer}, which we trust, says that it did come from {domain} (ARC); it changed it."),
    ),
    "dmarc.trusted-forwarder": Signal(
        0.0, mark("{forwarder}, which we trust, forwarded it; so {domain} cannot be proven.")
    ),
    # ---- words --------------------------------------------------------------------------------
    "words.junk": Signal(4.0, mark("Its words came mostly in junk here: {words}.")),
    "words.ham": Signal(-2.0, mark("Its words came mostly in wanted mail here: {words}.")),
    "words.own-junk": Signal(5.0, mark("Its words came mostly in your junk: {words}.")),
    "words.own-ham": Signal(-3.0, mark("Its words came mostly in your wanted mail: {words}.")),
    # ---- history ------------------------------------------------------------------------------
    "history.junked-by-you": Signal(2.5, mark("You moved mail of {address} to Junk.")),
    "history.often-junked-by-you": Signal(5.0, mark("You moved mail of {address} to Junk often.")),
    "history.domain-junked-by-you": Signal(
        1.5, mark("You moved mail of {domain} to Junk several times.")
    ),
    "history.kept-by-you": Signal(-2.5, mark("You took mail of {address} out of Junk.")),
    "history.written-by-you": Signal(-3.0, mark("You have written to {address} before.")),
    "history.junked-by-many": Signal(3.0, mark("{count} people here moved mail of {who} to Junk.")),
    "history.domain-junked": Signal(
        2.0, mark("{count} people here moved mail of {who} to Junk, as most who got some.")
    ),
    "history.network-junked": Signal(
        2.0, mark("{count} people here moved mail from the network {who} to Junk.")
    ),
    "history.written-by-many": Signal(-1.0, mark("Several people here write to {who}.")),
    "greylist.first": Signal(
        0.0,
        mark("Nobody here knows the server or the sender yet: it is asked to come again."),
        Action.DEFER,
    ),
    # ---- deceit: who and where
    "phish.name-shows-address": Signal(
        3.0,
        mark("Its author's name shows the address {shown}, but it comes from {real}."),
    ),
    "phish.mixed-script-name": Signal(
        2.0, mark("Its author's name {name} mixes letters of scripts that look alike.")
    ),
    "phish.lookalike-author": Signal(
        4.0, mark("It comes from {domain}, which is made to look like {like}.")
    ),
    "phish.false-letters-author": Signal(
        4.0, mark("It comes from {domain}, whose letters are made to be taken for others.")
    ),
    "phish.name-of-ours": Signal(4.5, mark("It calls itself “{name}”, but it comes from {real}.")),
    "phish.domain-of-ours": Signal(
        3.0,
        mark("It says that it comes from {domain}, which is ours, but nothing proves it."),
    ),
    "phish.brand-name": Signal(
        2.0, mark("Its author's name says {brand}, but it comes from {domain}.")
    ),
    "phish.lure": Signal(3.0, mark("Under that name it presses its reader to log in or to pay.")),
    "phish.direction-control": Signal(
        3.0,
        mark("Its {place} turns the direction of the text, so that it reads otherwise than it is."),
    ),
    "phish.lookalike-reply-to": Signal(
        3.0, mark("Answers would go to {domain}, which is made to look like {like}.")
    ),
    "phish.reply-to-elsewhere": Signal(
        0.5, mark("It comes from {real}, but answers would go to {reply}.")
    ),
    "phish.reply-to-free-mail": Signal(
        1.5, mark("It comes from {real}, but answers would go to {reply}, a free mail address.")
    ),
    "phish.bad-scheme": Signal(
        2.0,
        mark("It has a link that runs or shows something instead of leading anywhere ({scheme}:)."),
    ),
    "phish.address-link": Signal(1.5, mark("It has a link to a bare network address, {host}.")),
    "phish.user-in-link": Signal(
        5.0, mark("It has a link that begins with {user} but leads to {host}."), is_proof=True
    ),
    "phish.lookalike-link": Signal(
        3.5, mark("It has a link to {domain}, which is made to look like {like}.")
    ),
    "phish.false-letters-link": Signal(
        3.5, mark("It has a link to {domain}, whose letters are made to be taken for others.")
    ),
    "phish.link-names-other": Signal(
        2.0, mark("It has a link that names {shown} but leads to {domain}.")
    ),
    "phish.list-link-names-other": Signal(
        0.25, mark("It has a link that names {shown} and leads to {domain}.")
    ),
    "phish.form": Signal(1.5, mark("It has a form to type something in.")),
    "phish.password-form": Signal(5.0, mark("It asks to type in a password.")),
    # ---- structure
    "structure.no-message-id": Signal(0.25, mark("It has no Message-ID.")),
    "structure.date-ahead": Signal(1.5, mark("Its Date is days in the future.")),
    "structure.date-old": Signal(0.5, mark("Its Date is more than a month ago.")),
    "structure.undisclosed": Signal(0.25, mark("It does not say to whom it was sent.")),
    "structure.no-mime-version": Signal(0.25, mark("It has no MIME-Version, though it is MIME.")),
    "structure.split-words": Signal(1.5, mark("Its subject is cut into very small pieces.")),
    "structure.needless-base64": Signal(
        1.0, mark("Its plain text is encoded without need, which hides it from simple filters.")
    ),
    "structure.open-multipart": Signal(0.5, mark("Its parts are not closed.")),
    "structure.part-bomb": Signal(3.0, mark("It has more parts than any honest mail.")),
    "structure.ambiguous": Signal(
        2.0,
        mark("It says the same thing twice and differently, so that programs disagree about it."),
    ),
    "structure.hidden-epilogue": Signal(1.5, mark("It has something like a part after its end.")),
    "structure.texts-differ": Signal(
        2.0, mark("Its plain text says something else than its HTML.")
    ),
    "structure.hidden-text": Signal(2.0, mark("It has text that nobody is meant to see.")),
    "structure.script": Signal(1.5, mark("Its HTML has a script.")),
    "structure.image-only": Signal(1.5, mark("It is nothing but pictures.")),
    "structure.link-only": Signal(1.0, mark("It is nothing but a link.")),
    "structure.html-only": Signal(0.25, mark("It has HTML only, no plain text.")),
    # ---- attachments
    "attach.direction-control": Signal(
        5.0,
        mark("The name of the file {name} turns the direction of the text to hide its ending."),
        is_proof=True,
    ),
    "attach.double-ending": Signal(
        4.0, mark("The file {name} has two endings, a harmless one before a dangerous one.")
    ),
    "attach.program": Signal(5.0, mark("The file {name} is a program.")),
    "attach.script": Signal(4.0, mark("The file {name} is a script.")),
    "attach.shortcut": Signal(4.0, mark("The file {name} is a shortcut that runs something.")),
    "attach.disk-image": Signal(5.0, mark("The file {name} is the image of a disk.")),
    "attach.macros": Signal(3.0, mark("The document {name} has macros.")),
    "attach.active": Signal(2.5, mark("The file {name} runs something when it is opened.")),
    "attach.html-form": Signal(3.0, mark("The file {name} is a web page with a form.")),
    "attach.html-script": Signal(1.5, mark("The file {name} is a web page with a script.")),
    "attach.html-password": Signal(
        5.0, mark("The file {name} is a web page that asks to type in a password.")
    ),
    "attach.encrypted": Signal(
        1.5, mark("The archive {name} is encrypted, so nobody can look into it.")
    ),
    "attach.many": Signal(3.0, mark("It has so many files that nobody can look into all of them.")),
    "attach.bomb": Signal(4.0, mark("The archive {name} would become far too large.")),
    "attach.archived-program": Signal(
        5.0, mark("The archive {name} has a program in it: {member}.")
    ),
    # ---- scanners
    "scan.malware": Signal(
        20.0, mark("A scanner found malware: {name}."), Action.REJECT, is_proof=True
    ),
    "scan.rspamd": Signal(0.0, mark("Rspamd gives it {score}.")),
    "scan.away": Signal(0.0, mark("The scanner {scanner} did not look at it: {why}.")),
    "scan.deferred": Signal(
        0.0, mark("The scanner {scanner} is away, and nothing is taken without it."), Action.DEFER
    ),
}
"""Every signal by its name."""


def make_reason(signal: str, *, weight: float | None = None, **values: str | int) -> Reason:
    """Return the reason that names this signal, with what was found.

    Args:
        signal: a key of ``SIGNALS``.
        weight: where it depends on what was found; ``None``: that of the table.
        values: for the places of its sentence; text of a peer is shown as it is, so it must be
            printable and short (``tracking.journey.readable``).
    """
    known = SIGNALS[signal]
    return Reason(
        signal=signal,
        weight=known.weight if weight is None else weight,
        template=known.text,
        demands=known.demands,
        values=tuple(values.items()),
        is_proof=known.is_proof,
        asks_refusal=known.asks_refusal,
    )


def printable(text: str, limit: int = 80) -> str:
    """Return text of a stranger fit for a sentence: no controls, nothing that turns it."""
    text = text[: limit + 20]
    if not text.isprintable():
        text = "".join([char if char.isprintable() else " " for char in text])
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
