"""All signals of the checks, with weight and sentence. Pure.

One closed list, therefore one long file. A sentence is the key of the catalogs in ``web/locale``;
its places in braces are filled with the findings.

Laws:
- A released name keeps its meaning, because stored verdicts use it.
- A positive weight counts against the mail, a negative one for it. Junk begins at 5: a single
  signal reaches it only if legitimate mail never causes it, by a policy, or by user actions.
- A demand decides the verdict alone (decision 0007, law 5).
"""

from __future__ import annotations

from zajil.check.verdict.verdict import Action, Reason
from zajil.core.value_class import value_class
from zajil.tracking.check_names import mark


@value_class(frozen=True, slots=True)
class Signal:
    """One possible finding about a mail."""

    weight: float
    text: str
    demands: Action | None = None
    is_proof: bool = False
    """Proven deception, or a listed client: the score may reject the mail, not only junk it."""
    asks_refusal: bool = False
    """The policy of the author's domain: with one more negative signal the mail is rejected."""


SIGNALS: dict[str, Signal] = {
    # ---- form ---------------------------------------------------------------------------------
    "format.loop": Signal(
        10.0, mark("The message passed through too many servers (mail loop)."), Action.REJECT
    ),
    "format.header-size": Signal(10.0, mark("The header section is too large."), Action.REJECT),
    "format.no-from": Signal(5.0, mark("The message has no From field.")),
    "format.repeated-from": Signal(5.0, mark("The message has more than one From field.")),
    "format.bad-from": Signal(2.0, mark("The From field has no valid address.")),
    "format.no-date": Signal(0.25, mark("The message has no Date field.")),
    "format.bad-line": Signal(1.0, mark("The header section has an invalid line.")),
    "format.repeated-field": Signal(
        1.5, mark("The message has {count} {field} fields; only one is allowed.")
    ),
    "format.8bit-header": Signal(
        0.5, mark("The header section has 8-bit text, but the client did not use SMTPUTF8.")
    ),
    "format.long-line": Signal(0.5, mark("The message has a line longer than 998 bytes.")),
    # ---- faults of our own --------------------------------------------------------------------
    "check.failed": Signal(
        5.0, mark("The message could not be checked completely because of an internal error.")
    ),
    # ---- the peer -----------------------------------------------------------------------------
    "peer.listed": Signal(
        3.0, mark("The sending server {ip} is on the blocklist {list}."), is_proof=True
    ),
    "peer.vouched": Signal(-1.0, mark("The sending server {ip} is on the allowlist {list}.")),
    "peer.no-name": Signal(1.0, mark("The sending server has no host name in DNS.")),
    "peer.unconfirmed-name": Signal(
        0.5, mark("The host name of the sending server does not resolve to its address.")
    ),
    "peer.helo-ours": Signal(
        3.0, mark("The sending server used the name of this server, {name}."), is_proof=True
    ),
    "peer.helo-other-address": Signal(
        1.0, mark("The sending server identified itself with an IP address that is not its own.")
    ),
    "peer.helo-bare-address": Signal(
        1.0, mark("The sending server identified itself with an IP address without brackets.")
    ),
    "peer.helo-no-domain": Signal(
        0.5, mark("The sending server identified itself as {name}, which is not a domain name.")
    ),
    # ---- who sent it --------------------------------------------------------------------------
    "spf.fail": Signal(2.0, mark("{domain} does not authorize {ip} to send its mail (SPF fail).")),
    "spf.softfail": Signal(
        0.5, mark("{domain} probably does not authorize {ip} to send its mail (SPF softfail).")
    ),
    "spf.helo-fail": Signal(
        1.5,
        mark(
            "The sending server identified itself as {domain}, which does not "
            "authorize its address (SPF)."
        ),
    ),
    "dkim.fail": Signal(
        0.5,
        mark(
            "The DKIM signature of {domain} is invalid: the header section was "
            "changed, or the signature is forged."
        ),
    ),
    "dkim.fail-body": Signal(
        0.5,
        mark("The DKIM signature of {domain} is invalid: the body was changed."),
    ),
    "dkim.partial": Signal(
        1.5, mark("The DKIM signature of {domain} covers only the beginning of the body.")
    ),
    "dmarc.pass": Signal(-0.5, mark("DMARC confirmed that the message is from {domain}.")),
    "dmarc.fail": Signal(0.5, mark("DMARC could not confirm that the message is from {domain}.")),
    "dmarc.fail-quarantine": Signal(
        5.0,
        mark("DMARC failed, and the policy of {domain} is to quarantine such mail."),
    ),
    "dmarc.fail-reject": Signal(
        6.0,
        mark("DMARC failed, and the policy of {domain} is to reject such mail."),
        asks_refusal=True,
    ),
    "dmarc.many-authors": Signal(
        5.0,
        mark("The From field has too many addresses for DMARC."),
        Action.REJECT,
    ),
    "dmarc.name-fail": Signal(
        2.5,
        mark(
            "The author's display name shows an address of {domain}, but DMARC did "
            "not confirm that domain."
        ),
    ),
    "dmarc.absent-author": Signal(1.5, mark("The author's domain {domain} does not exist.")),
    "dmarc.not-asked": Signal(
        0.0,
        mark("DMARC could not be checked for {domain} because of a temporary DNS error."),
        Action.DEFER,
    ),
    "arc.trusted": Signal(
        0.0,
        mark("The trusted forwarder {sealer} confirmed that the message was from {domain} (ARC)."),
    ),
    "dmarc.trusted-forwarder": Signal(
        0.0,
        mark(
            "DMARC failed for {domain}, but the trusted forwarder {forwarder} "
            "forwarded the message."
        ),
    ),
    # ---- words --------------------------------------------------------------------------------
    "words.junk": Signal(
        4.0, mark("Its words appear mostly in junk mail on this server: {words}.")
    ),
    "words.ham": Signal(
        -2.0, mark("Its words appear mostly in wanted mail on this server: {words}.")
    ),
    "words.own-junk": Signal(5.0, mark("Its words appear mostly in your junk mail: {words}.")),
    "words.own-ham": Signal(-3.0, mark("Its words appear mostly in your wanted mail: {words}.")),
    # ---- history ------------------------------------------------------------------------------
    "history.junked-by-you": Signal(2.5, mark("You moved a message from {address} to Junk.")),
    "history.often-junked-by-you": Signal(
        5.0, mark("You often moved messages from {address} to Junk.")
    ),
    "history.domain-junked-by-you": Signal(
        1.5, mark("You moved several messages from {domain} to Junk.")
    ),
    "history.kept-by-you": Signal(-2.5, mark("You moved a message from {address} out of Junk.")),
    "history.written-by-you": Signal(-3.0, mark("You have sent mail to {address} before.")),
    "history.junked-by-many": Signal(
        3.0, mark("{count} users of this server moved mail from {who} to Junk.")
    ),
    "history.domain-junked": Signal(
        2.0,
        mark(
            "{count} users of this server, most of those who received mail "
            "from {who}, moved it to Junk."
        ),
    ),
    "history.network-junked": Signal(
        2.0, mark("{count} users of this server moved mail from the network {who} to Junk.")
    ),
    "history.written-by-many": Signal(
        -1.0, mark("Several users of this server send mail to {who}.")
    ),
    "greylist.first": Signal(
        0.0,
        mark(
            "The server and the sender are unknown; the message was temporarily "
            "rejected (greylisting)."
        ),
        Action.DEFER,
    ),
    # ---- deceit: who and where
    "phish.name-shows-address": Signal(
        3.0,
        mark(
            "The author's display name shows the address {shown}, but the message is from {real}."
        ),
    ),
    "phish.mixed-script-name": Signal(
        2.0, mark("The author's display name {name} mixes similar characters of different scripts.")
    ),
    "phish.lookalike-author": Signal(
        4.0, mark("The message is from {domain}, which resembles {like}.")
    ),
    "phish.false-letters-author": Signal(
        4.0, mark("The message is from {domain}, which contains misleading characters.")
    ),
    "phish.name-of-ours": Signal(
        4.5, mark("The author's display name is “{name}”, but the message is from {real}.")
    ),
    "phish.domain-of-ours": Signal(
        3.0,
        mark("The message claims to be from our domain {domain}, but it is not authenticated."),
    ),
    "phish.brand-name": Signal(
        2.0, mark("The author's display name mentions {brand}, but the message is from {domain}.")
    ),
    "phish.lure": Signal(
        3.0, mark("Under that name the message urges the reader to log in or to pay.")
    ),
    "phish.direction-control": Signal(
        3.0,
        mark("The {place} field contains characters that reverse the text direction."),
    ),
    "phish.lookalike-reply-to": Signal(
        3.0, mark("Replies go to {domain}, which resembles {like}.")
    ),
    "phish.reply-to-elsewhere": Signal(
        0.5, mark("The message is from {real}, but replies go to {reply}.")
    ),
    "phish.reply-to-free-mail": Signal(
        1.5, mark("The message is from {real}, but replies go to {reply}, a free mail address.")
    ),
    "phish.bad-scheme": Signal(
        2.0,
        mark("The message has a link that runs code or embeds content ({scheme}:)."),
    ),
    "phish.address-link": Signal(1.5, mark("The message has a link to the IP address {host}.")),
    "phish.user-in-link": Signal(
        5.0,
        mark("The message has a link that starts with {user} but leads to {host}."),
        is_proof=True,
    ),
    "phish.lookalike-link": Signal(
        3.5, mark("The message has a link to {domain}, which resembles {like}.")
    ),
    "phish.false-letters-link": Signal(
        3.5, mark("The message has a link to {domain}, which contains misleading characters.")
    ),
    "phish.link-names-other": Signal(
        2.0, mark("The message has a link that shows {shown} but leads to {domain}.")
    ),
    "phish.list-link-names-other": Signal(
        0.25, mark("The message has a link that shows {shown} and leads to {domain}.")
    ),
    "phish.form": Signal(1.5, mark("The message contains a form.")),
    "phish.password-form": Signal(5.0, mark("The message asks for a password.")),
    # ---- structure
    "structure.no-message-id": Signal(0.25, mark("The message has no Message-ID field.")),
    "structure.date-ahead": Signal(1.5, mark("The Date field is several days in the future.")),
    "structure.date-old": Signal(0.5, mark("The Date field is more than a month in the past.")),
    "structure.undisclosed": Signal(0.25, mark("The message names no recipients.")),
    "structure.no-mime-version": Signal(
        0.25, mark("The message uses MIME but has no MIME-Version field.")
    ),
    "structure.split-words": Signal(
        1.5, mark("The subject is split into very small encoded words.")
    ),
    "structure.needless-base64": Signal(
        1.0, mark("The plain text is base64-encoded without need.")
    ),
    "structure.open-multipart": Signal(0.5, mark("The multipart structure is not closed.")),
    "structure.part-bomb": Signal(3.0, mark("The message has too many parts.")),
    "structure.ambiguous": Signal(
        2.0,
        mark("The message is ambiguous: different programs interpret it differently."),
    ),
    "structure.hidden-epilogue": Signal(1.5, mark("The message has a part after its end.")),
    "structure.texts-differ": Signal(
        2.0, mark("The plain text and the HTML have different content.")
    ),
    "structure.hidden-text": Signal(2.0, mark("The message contains hidden text.")),
    "structure.script": Signal(1.5, mark("The HTML contains a script.")),
    "structure.image-only": Signal(1.5, mark("The message contains only images.")),
    "structure.link-only": Signal(1.0, mark("The message contains only a link.")),
    "structure.html-only": Signal(0.25, mark("The message has an HTML part but no plain text.")),
    # ---- attachments
    "attach.direction-control": Signal(
        5.0,
        mark("The file name {name} reverses the text direction to hide its extension."),
        is_proof=True,
    ),
    "attach.double-ending": Signal(
        4.0, mark("The file {name} has a double extension that hides its type.")
    ),
    "attach.program": Signal(5.0, mark("The file {name} is an executable program.")),
    "attach.script": Signal(4.0, mark("The file {name} is a script.")),
    "attach.shortcut": Signal(4.0, mark("The file {name} is a shortcut that runs a program.")),
    "attach.disk-image": Signal(5.0, mark("The file {name} is a disk image.")),
    "attach.macros": Signal(3.0, mark("The document {name} contains macros.")),
    "attach.active": Signal(2.5, mark("The file {name} runs code when it is opened.")),
    "attach.html-form": Signal(3.0, mark("The file {name} is a web page that contains a form.")),
    "attach.html-script": Signal(
        1.5, mark("The file {name} is a web page that contains a script.")
    ),
    "attach.html-password": Signal(
        5.0, mark("The file {name} is a web page that asks for a password.")
    ),
    "attach.encrypted": Signal(1.5, mark("The archive {name} is encrypted and cannot be checked.")),
    "attach.many": Signal(3.0, mark("The message has too many attachments to check them all.")),
    "attach.bomb": Signal(4.0, mark("The archive {name} is too large when it is unpacked.")),
    "attach.archived-program": Signal(
        5.0, mark("The archive {name} contains an executable program: {member}.")
    ),
    # ---- scanners
    "scan.malware": Signal(
        20.0, mark("The scanner found malware: {name}."), Action.REJECT, is_proof=True
    ),
    "scan.rspamd": Signal(0.0, mark("Rspamd assigned a score of {score}.")),
    "scan.away": Signal(0.0, mark("The scanner {scanner} did not scan the message: {why}.")),
    "scan.deferred": Signal(
        0.0, mark("The required scanner {scanner} is not available."), Action.DEFER
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
