"""The client's side of an SMTP or LMTP connection, without I/O (RFC 5321, RFC 2033).

Laws:
- No value becomes two commands: CR, LF and NUL in an argument are refused (``UnsafeText``), a
  message with a bare CR or LF does not leave (``BareLineEnd``).
- A reply belongs to the oldest command that has none yet. A peer that sends more replies than it
  owes, or anything behind its 220 to STARTTLS, is not believed (``BadReply``).
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Mapping

from zajil.core.address import Address
from zajil.core.errors import InternalError
from zajil.core.mail_options import (
    PLAIN_MAIL,
    PLAIN_RECIPIENT,
    MailOptions,
    Notify,
    RecipientOptions,
)
from zajil.smtp import grammar
from zajil.smtp.codes import Code
from zajil.smtp.extensions import parse_capabilities
from zajil.smtp.lines import BodyWriter
from zajil.smtp.reply import Reply
from zajil.smtp.reply_reader import BadReply, ReplyReader
from zajil.smtp.state import SENDABLE, ClientState
from zajil.smtp.xtext import MAX_ORCPT, BadXtext, encode_original_recipient, encode_xtext

MAX_COMMAND_LINE = 512
"""Octets of a command with CRLF that every server takes (RFC 5321 section 4.5.3.1.4)."""


class UnsafeText(InternalError, ValueError):
    """An argument holds CR, LF, NUL or another control, which would make it more than one command;
    or it is not ASCII where it must be."""


class NotOffered(InternalError, ValueError):
    """The mail needs an extension that the peer did not announce: SMTPUTF8 (RFC 6531 section 3.2)
    or REQUIRETLS (RFC 8689 section 4.2.1)."""


class ClientConnection(ReplyReader):
    """Turns commands into bytes and bytes into replies.

    Commands may be queued as a group where the peer offers PIPELINING; the replies then come in
    the same order::

        mail(...); rcpt(...); data() -> data_to_send() -> receive_data(b"...") -> next_reply() x3

    The first reply is the greeting. ``RuntimeError`` means a command out of order: a fault of ours.
    """

    def __init__(self, client_name: str, *, lmtp: bool = False) -> None:
        super().__init__()
        self.state = ClientState.GREETING
        self.capabilities: Mapping[str, str] = {}
        """After EHLO: ``"SIZE" -> "52428800"``; empty after HELO and after TLS has begun."""
        self._client_name = client_name
        self._lmtp = lmtp
        self._to_send = bytearray()
        self._owed: deque[str] = deque(["greeting"])  # verbs that have no reply yet
        self._recipients = 0  # accepted in this transaction
        self._writer = BodyWriter()
        self._body_size = 0

    # ---- bytes in and out --------------------------------------------------------------------

    def data_to_send(self) -> bytes:
        """Return and forget the bytes that must now go to the network."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def replies_owed(self) -> int:
        """Return how many replies the peer still owes us."""
        return len(self._owed)

    def next_reply(self) -> Reply | None:
        """Return the next complete reply; ``None``: more bytes are needed.

        Raises:
            BadReply: not the grammar of RFC 5321 section 4.2, beyond a limit, or unasked for.
        """
        reply = self.read_reply()
        if reply is not None:
            self._settle(reply)
        return reply

    def _settle(self, reply: Reply) -> None:
        """Let the reply have its effect on our state."""
        if reply.code == Code.NOT_AVAILABLE:  # may come at any time: RFC 5321 section 3.8
            self.state = ClientState.CLOSED
            self._owed.clear()
            return
        if not self._owed:
            raise BadReply("a reply that no command asked for")
        verb = self._owed.popleft()
        if verb == "greeting":
            self.state = ClientState.START if reply.accepts else ClientState.CLOSED
        elif verb in ("EHLO", "LHLO"):
            self.capabilities = parse_capabilities(reply) if reply.accepts else {}
        elif verb == "RCPT":
            self._recipients += reply.accepts
        elif verb == "DATA":
            began = reply.code == Code.START_BODY
            self.state = ClientState.BODY if began else ClientState.MAIL
            self._writer, self._body_size = BodyWriter(), 0
        elif verb == "STARTTLS":
            self._settle_starttls(reply)
        elif verb == "AUTH" and reply.code != Code.AUTH_CHALLENGE:
            self.state = ClientState.READY

    def _settle_starttls(self, reply: Reply) -> None:
        if not reply.accepts:
            self.state = ClientState.READY
        elif self.has_pending_input():
            # Security: replies put in plain text behind the 220 must not be taken for part of
            # the encrypted session (attack: response injection, nostarttls.secvuln.info).
            raise BadReply("bytes after the reply to STARTTLS")

    # ---- commands ----------------------------------------------------------------------------

    def ehlo(self) -> None:
        """Greet; LHLO when this is LMTP (RFC 2033 section 4.1)."""
        self._command("LHLO" if self._lmtp else "EHLO", self._client_name)

    def helo(self) -> None:
        """Greet a server that does not know EHLO (RFC 5321 section 3.2)."""
        self.capabilities = {}
        self._command("HELO", self._client_name)

    def starttls(self) -> None:
        """Ask for TLS; nothing may be queued before or behind it (RFC 3207 section 4)."""
        if self._owed:
            raise RuntimeError("STARTTLS is the only command of its group")
        self._command("STARTTLS")

    def tls_established(self) -> None:
        """Begin anew, encrypted: say EHLO again (RFC 3207 section 4.2).

        Raises:
            BadReply: there were bytes before the handshake.
        """
        if self.has_pending_input():
            raise BadReply("bytes before the TLS handshake")
        self.state = ClientState.START
        self.capabilities = {}

    def auth(self, mechanism: str, initial: bytes | None = None) -> bool:
        """Begin to log in (RFC 4954); nothing may be queued before or behind it.

        Args:
            mechanism: its SASL name.
            initial: the initial response.

        Returns:
            Whether the initial response was said; if it makes the line too long, it is the answer
            to the server's first challenge, which is empty.
        """
        if self._owed:
            raise RuntimeError("AUTH is the only command of its group")
        argument, is_said = mechanism, False
        if initial is not None:
            whole = f"{mechanism} {b64encode(initial).decode('ascii') or '='}"
            is_said = len(f"AUTH {whole}\r\n") <= MAX_COMMAND_LINE
            argument = whole if is_said else mechanism
        # Security: the dialogue never holds what is said in the exchange.
        self._command("AUTH", argument, shown=mechanism)
        return is_said

    def auth_response(self, data: bytes) -> None:
        """Answer the challenge of the server."""
        self._say_in_auth(b64encode(data).decode("ascii"))

    def cancel_auth(self) -> None:
        """End the exchange; the server replies 501 (RFC 4954 section 4)."""
        self._say_in_auth("*")

    def _say_in_auth(self, line: str) -> None:
        if self.state is not ClientState.AUTH or self._owed:
            raise RuntimeError("the server did not ask for a response")
        self._to_send += line.encode("ascii") + b"\r\n"
        self._owed.append("AUTH")
        self.note("C: (AUTH response)")

    def note(self, line: str) -> None:
        """Keep a line of the dialogue, without the challenges of AUTH."""
        super().note("S: 334 (challenge)" if line.startswith("S: 334") else line)

    def mail(
        self,
        reverse_path: Address | None,
        *,
        size: int | None = None,
        body: str | None = None,
        smtputf8: bool = False,
        options: MailOptions = PLAIN_MAIL,
    ) -> None:
        """Begin a transaction.

        Args:
            reverse_path: ``None`` is the null path.
            size: bytes of the message; said if the peer knows SIZE.
            body: ``8BITMIME`` or ``7BIT``; said if the peer knows 8BITMIME.
            smtputf8: the mail needs SMTPUTF8.
            options: RET and ENVID are said if the peer knows DSN (RFC 3461 section 5.2.1);
                REQUIRETLS always. How long to hold a mail is ours, and never said.

        Raises:
            NotOffered: it needs SMTPUTF8 or REQUIRETLS, and the peer does not know it.
            UnsafeText: ENVID is not printable ASCII, or a path holds a control.
        """
        path = "" if reverse_path is None else str(reverse_path)
        words = [f"FROM:<{path}>"]
        if size is not None and "SIZE" in self.capabilities:
            words.append(f"SIZE={size}")
        if body is not None and "8BITMIME" in self.capabilities:
            words.append(f"BODY={body}")
        if smtputf8 or not path.isascii():
            _demand_smtputf8(self.capabilities, path)
            words.append("SMTPUTF8")
        if options is not PLAIN_MAIL:
            words += _mail_parameters(self.capabilities, options)
        self._recipients = 0
        self._command("MAIL", " ".join(words))

    def rcpt(self, forward_path: Address, *, options: RecipientOptions = PLAIN_RECIPIENT) -> None:
        """Name a recipient.

        Args:
            forward_path: a local part without a domain is ``<Postmaster>``.
            options: NOTIFY and ORCPT; said if the peer knows DSN. An ORCPT that is too long in
                ASCII is left out.

        Raises:
            NotOffered: its local part is not ASCII, and the peer does not know SMTPUTF8.
            UnsafeText: ORCPT has no address type, or holds what may not be written.
        """
        path = str(forward_path) if forward_path.domain else forward_path.local_part
        if not path.isascii():
            _demand_smtputf8(self.capabilities, path)
        words = [f"TO:<{path}>"]
        if options is not PLAIN_RECIPIENT and "DSN" in self.capabilities:
            words += _recipient_parameters(options)
        self._command("RCPT", " ".join(words))

    def data(self) -> None:
        """Ask to send the message; ``body`` may be called once a 354 has come."""
        self._command("DATA")

    def body(self, chunk: bytes) -> None:
        """Send a piece of the message; pieces may be cut anywhere.

        Raises:
            BareLineEnd: the message must not leave; close the connection at once.
        """
        if self.state is not ClientState.BODY:
            raise RuntimeError("the peer did not ask for a message")
        self._to_send += self._writer.write(chunk)
        self._body_size += len(chunk)

    def end_body(self) -> None:
        """End the message. LMTP: a reply for each accepted recipient (RFC 2033 section 4.2).

        Raises:
            BareLineEnd: as ``body``.
        """
        if (after := SENDABLE.get((self.state, "."))) is None:
            raise RuntimeError("no message is being sent")
        self._to_send += self._writer.end()
        self.note(f"C: ({self._body_size} bytes of message)")
        self._owed.extend(["."] * (self._recipients if self._lmtp else 1))
        self.state = after

    def rset(self) -> None:
        """End the transaction."""
        self._command("RSET")

    def quit(self) -> None:
        """Send QUIT; the caller may wait for the reply 221."""
        self._command("QUIT")

    def _command(self, verb: str, argument: str = "", shown: str | None = None) -> None:
        line = f"{verb} {argument}" if argument else verb
        _refuse_controls(line)
        after = SENDABLE.get((self.state, verb))
        if after is None:
            raise RuntimeError(f"{verb} is out of order in state {self.state.name}")
        self.state = after
        self._to_send += line.encode() + b"\r\n"
        self._owed.append(verb)
        self.note(f"C: {line}" if shown is None else f"C: {verb} {shown}")


def _mail_parameters(capabilities: Mapping[str, str], options: MailOptions) -> list[str]:
    words = []
    if "DSN" in capabilities:
        if options.dsn_return:
            words.append(f"RET={options.dsn_return}")
        if options.envelope_id:
            words.append(f"ENVID={_envelope_id(options.envelope_id)}")
    if options.require_tls:
        # Security: a server that does not promise it might go on in the clear.
        if "REQUIRETLS" not in capabilities:
            raise NotOffered("the next server does not offer REQUIRETLS")
        words.append("REQUIRETLS")
    return words


def _demand_smtputf8(capabilities: Mapping[str, str], path: str) -> None:
    _refuse_controls(path)
    if "SMTPUTF8" not in capabilities:
        raise NotOffered("the next server does not offer SMTPUTF8")


def _recipient_parameters(options: RecipientOptions) -> list[str]:
    words = []
    if options.notify is not None:
        names = [flag.name for flag in Notify if flag in options.notify and flag.name]
        words.append(f"NOTIFY={','.join(names) or 'NEVER'}")
    if options.original_recipient:
        try:
            original = encode_original_recipient(options.original_recipient)
        except BadXtext as error:
            raise UnsafeText(f"ORCPT: {error}") from None
        # One that is too long would be refused, and the mail with it (RFC 3461 section 4.2).
        if len(original) <= MAX_ORCPT:
            words.append(f"ORCPT={original}")
    return words


def _envelope_id(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise UnsafeText("ENVID is printable ASCII")
    return encode_xtext(value)


def _refuse_controls(text: str) -> None:
    if grammar.CONTROL.search(text):
        raise UnsafeText("a control character in an argument of a command")
