"""Open a connection to one host, as secure as the rules and the host allow.

RFC 3207 (STARTTLS), RFC 8314 section 3.3 (TLS from the first byte, at relays), RFC 7435
(opportunistic security): with ``opportunistic`` whatever encrypts is better than nothing, and the
journey says what it was; with ``verify`` only a valid certificate for the host's name will do. A
mail may ask for more or less than that (RFC 8689), and a relay with a log-in for more:
``rule_for``; an enforced MTA-STS policy of the domain means ``verify`` (``attempt``). A host with
TLSA records must show a certificate that matches them (DANE, RFC 7672), and none of an authority.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from enum import Enum, IntEnum, auto
from typing import Literal

from zajil.config.options import DeliverOptions
from zajil.core.clock import Clock, Random
from zajil.core.errors import InternalError
from zajil.deliver.client_channel import (
    Channel,
    ChannelTarget,
    LinkBroken,
    NotOpened,
    PeerClosing,
)
from zajil.deliver.relay_login import log_in
from zajil.mailauth.tls_session import TlsFailure, TlsProblem
from zajil.message.fields import find_value, read_fields
from zajil.net.stream import connect
from zajil.route.transport import Relay
from zajil.smtp.client import ClientConnection
from zajil.smtp.codes import EnhancedStatus
from zajil.smtp.reply import Reply
from zajil.smtp.reply_reader import BadReply
from zajil.smtp.state import ClientState
from zajil.store.queue.queue import LeasedRecipient
from zajil.tls.context import client_context
from zajil.tls.tlsa import Tlsa, matches_tlsa


class Level(IntEnum):
    """How sure we are of whom we speak to."""

    VERIFIED = 0
    ENCRYPTED = 1
    PLAIN = 2


class TlsRule(Enum):
    """What a mail may be sent over."""

    NEVER = auto()
    """No TLS: for tests."""
    OPPORTUNISTIC = auto()
    VERIFY = auto()
    """A certificate that is valid for the host's name, or not now."""
    REQUIRE = auto()
    """REQUIRETLS: the same, to a server that promises as much, or not at all (RFC 8689)."""


def rule_for(
    policy: Literal["opportunistic", "verify", "never"],
    mail: LeasedRecipient,
    relay: Relay | None = None,
) -> TlsRule:
    """Return what the policy of ``deliver.tls``, the relay and the mail itself demand."""
    # Deviation: RFC 8689 section 4.2.1 wants the MX name itself secured, by DNSSEC or MTA-STS.
    # Few domains have either, so a certificate that is valid for the name of DNS is enough.
    # RFC 8689 section 5: a bounce with REQUIRETLS goes on even where nobody promises it.
    if mail.mail_options.require_tls and mail.reverse_path is not None:
        return TlsRule.REQUIRE
    if relay is not None and relay.is_secure:
        return TlsRule.VERIFY
    if policy == "never":
        return TlsRule.NEVER
    return TlsRule.VERIFY if policy == "verify" else TlsRule.OPPORTUNISTIC


def is_secure_enough(link: Channel, rule: TlsRule) -> bool:
    """Return whether an open link may carry a mail."""
    match rule:
        case TlsRule.REQUIRE:
            return link.verified and "REQUIRETLS" in link.conn.capabilities
        case TlsRule.VERIFY:
            return link.verified
    return True


class _HandshakeFailed(InternalError):
    def __init__(self, sentence: str, next_level: Level, problem: TlsProblem) -> None:
        super().__init__(sentence)
        self.next_level = next_level
        self.problem = problem


_REMEMBERED = 1000
"""Hosts of which we remember that their certificate is not valid, so that only the first
connection is made twice."""
_REMEMBERED_MS = 3_600_000


class Opener:
    """Opens links: connect, greet, EHLO, STARTTLS, EHLO."""

    def __init__(
        self,
        options: DeliverOptions,
        hostname: str,
        tls: ssl.SSLContext | None,
        clock: Clock,
        random: Random,
    ) -> None:
        """Take a context that verifies; ``None``: TLS is not used at all."""
        self._options = options
        self._hostname = hostname
        self._clock = clock
        self._random = random
        self._contexts: dict[Level, ssl.SSLContext] = {}
        if tls is not None:
            if tls.verify_mode is not ssl.CERT_NONE:
                self._contexts[Level.VERIFIED] = tls
            self._contexts[Level.ENCRYPTED] = client_context(None, verify=False)
        self._unverifiable: OrderedDict[ChannelTarget, tuple[int, TlsProblem]] = OrderedDict()

    async def open(self, target: ChannelTarget, rule: TlsRule) -> Channel:
        """Open a link that is ready for MAIL; the caller closes it.

        Waits for the peer, within the timeouts of ``[deliver]``. Cancelling closes the connection.

        Raises:
            NotOpened: why not, with the dialogue so far.
        """
        dialogue: list[str] = []
        level, problem = self._first_level(target, rule)
        while True:
            link = await self._connect(target, dialogue)
            try:
                await self._begin(link, level, rule)
            except _HandshakeFailed as failure:
                link.abort()
                dialogue += [*link.take_dialogue(), f"-- {failure}; connecting again"]
                level, problem = failure.next_level, failure.problem
                if level is Level.ENCRYPTED:
                    self._remember(target, problem)
                continue
            except LinkBroken as error:
                link.abort()
                raise self._with_dialogue(NotOpened("4.4.2", str(error)), link, dialogue) from None
            except NotOpened as error:
                link.abort()
                raise self._with_dialogue(error, link, dialogue) from None
            except BaseException:
                link.abort()
                raise
            link.tls_problem = problem or link.tls_problem
            link.conn.dialogue[:0] = dialogue
            link.opened_ms = self._clock.now_ms()
            return link

    async def _begin(self, link: Channel, level: Level, rule: TlsRule) -> None:
        """Make a new connection ready for MAIL."""
        relay = link.target.relay
        if relay is not None and relay.tls == "implicit":
            if level is Level.PLAIN:
                raise _not_secure(rule, "TLS is required but not configured")
            await self._shake_hands(link, level, rule)
            await self._greet(link)
        else:
            await self._greet(link)
            await self._secure(link, level, rule)
        if rule is TlsRule.REQUIRE and "REQUIRETLS" not in link.conn.capabilities:
            raise _not_secure(rule, f"{link.target.host} does not offer REQUIRETLS")
        if relay is not None and relay.login is not None and relay.password is not None:
            seconds = self._options.reply_timeout_ms / 1000
            await log_in(link, relay.login, relay.password, random=self._random, seconds=seconds)

    @staticmethod
    def _with_dialogue(error: NotOpened, link: Channel, dialogue: list[str]) -> NotOpened:
        error.dialogue = (*dialogue, *link.take_dialogue())
        error.tls_problem = link.tls_problem
        return error

    async def _connect(self, target: ChannelTarget, dialogue: list[str]) -> Channel:
        seconds = self._options.connect_timeout_ms / 1000
        try:
            stream = await connect(
                target.address,
                target.port,
                timeout=seconds,
                source_address=self._options.source_address,
            )
        except TimeoutError:
            error = NotOpened("4.4.1", f"no connection within {seconds:g} seconds")
            error.dialogue = tuple(dialogue)
            raise error from None
        except OSError as problem:
            reason = problem.strerror or str(problem)
            error = NotOpened("4.4.1", f"cannot connect to {target}: {reason}")
            error.dialogue = tuple(dialogue)
            raise error from None
        return Channel(target, stream, ClientConnection(self._hostname))

    async def _greet(self, link: Channel) -> None:
        seconds = self._options.reply_timeout_ms / 1000
        greeting = await link.receive(seconds)
        if not greeting.accepts:
            raise _refused(greeting)
        await self._say_ehlo(link)

    async def _say_ehlo(self, link: Channel) -> None:
        seconds = self._options.reply_timeout_ms / 1000
        link.conn.ehlo()
        await link.send(seconds)
        reply = await link.receive(seconds)
        if reply.accepts:
            return
        if reply.is_temporary:
            raise _refused(reply)
        # RFC 5321 section 3.2: a server that does not know EHLO may know HELO.
        link.conn.helo()
        await link.send(seconds)
        reply = await link.receive(seconds)
        if not reply.accepts:
            raise _refused(reply)

    # ---- TLS ---------------------------------------------------------------------------------

    def _first_level(self, target: ChannelTarget, rule: TlsRule) -> tuple[Level, TlsProblem | None]:
        """Return what is tried first, and what is known to be wrong with the certificate."""
        encrypted = Level.ENCRYPTED if Level.ENCRYPTED in self._contexts else Level.PLAIN
        if rule is TlsRule.NEVER:
            return Level.PLAIN, None
        if target.tlsa or (target.tlsa is not None and rule is TlsRule.OPPORTUNISTIC):
            # RFC 7672 section 3.1: authorities of ours have no say in it.
            return encrypted, None
        if Level.VERIFIED not in self._contexts:
            return (encrypted if rule is TlsRule.OPPORTUNISTIC else Level.PLAIN), None
        until_ms, problem = self._unverifiable.get(target, (0, None))
        if rule is not TlsRule.OPPORTUNISTIC or until_ms <= self._clock.now_ms():
            return Level.VERIFIED, None
        return encrypted, problem

    def _remember(self, target: ChannelTarget, problem: TlsProblem) -> None:
        self._unverifiable[target] = self._clock.now_ms() + _REMEMBERED_MS, problem
        self._unverifiable.move_to_end(target)
        if len(self._unverifiable) > _REMEMBERED:
            self._unverifiable.popitem(last=False)

    async def _secure(self, link: Channel, level: Level, rule: TlsRule) -> None:
        host = link.target.host
        must = _must_encrypt(link, rule)
        if level is Level.PLAIN:
            if must:
                raise _not_secure(rule, "TLS is required but not configured")
            return
        if "STARTTLS" not in link.conn.capabilities:
            link.tls_problem = TlsProblem(TlsFailure.NO_STARTTLS)
            if must:
                raise _not_secure(rule, f"{host} does not offer STARTTLS")
            return
        seconds = self._options.reply_timeout_ms / 1000
        link.conn.starttls()
        await link.send(seconds)
        reply = await link.receive(seconds)
        if not reply.accepts:
            link.tls_problem = TlsProblem(TlsFailure.NO_STARTTLS, f"refused with {reply.code}")
            if must:
                raise NotOpened("4.7.0", f"{host} refused STARTTLS: {reply}")
            return
        await self._shake_hands(link, level, rule)
        # RFC 3207 section 4.2: everything the server said before is forgotten.
        try:
            await self._say_ehlo(link)
        except PeerClosing:
            raise
        except LinkBroken as error:
            # In TLS 1.3 the host may refuse our side of the handshake after we think it is done.
            link.tls_problem = TlsProblem(TlsFailure.OTHER, "no answer after the handshake")
            if must:
                raise
            raise _HandshakeFailed(f"TLS failed: {error}", Level.PLAIN, link.tls_problem) from None

    async def _shake_hands(self, link: Channel, level: Level, rule: TlsRule) -> None:
        name = link.target.host.strip("[]").removeprefix("IPv6:")
        try:
            seconds = self._options.connect_timeout_ms / 1000
            await link.stream.start_tls(self._contexts[level], name, seconds)
            if link.conn.state is ClientState.TLS:
                link.conn.tls_established()
        except (OSError, TimeoutError, BadReply, ValueError) as error:
            sentence = f"TLS failed: {_explain(error)}"
            doubtful = isinstance(error, ssl.SSLCertVerificationError)
            link.tls_problem = _problem_of(error)
            if rule is TlsRule.REQUIRE and doubtful:
                raise _not_secure(rule, sentence) from None
            if _must_encrypt(link, rule):
                raise NotOpened("4.7.5", sentence) from None
            # Another try without encryption is what "opportunistic" means: whoever can break the
            # handshake could as well have hidden the offer (RFC 7435 section 3).
            next_level = Level.ENCRYPTED if doubtful else Level.PLAIN
            raise _HandshakeFailed(sentence, next_level, link.tls_problem) from None
        found = link.stream.encryption
        if found is not None:
            link.verified = found.verified
            verified = "verified" if found.verified else "not verified"
            if link.target.tlsa:
                self._compare_tlsa(link, link.target.tlsa)
                verified = "confirmed by DANE"
            link.tls = f"{found.version} {found.cipher}, certificate {verified}"

    def _compare_tlsa(self, link: Channel, records: tuple[Tlsa, ...]) -> None:
        """Demand a certificate that the TLSA records name."""
        host, chain = link.target.host, link.stream.peer_chain()
        if not matches_tlsa(records, chain, host, self._clock.now_ms()):
            link.tls_problem = TlsProblem(TlsFailure.OTHER, "no TLSA record matches")
            raise NotOpened("4.7.5", f"the certificate of {host} does not match its TLSA records")
        link.verified = True


def _must_encrypt(link: Channel, rule: TlsRule) -> bool:
    """Return whether plain text will not do, whatever the host says."""
    if rule is TlsRule.NEVER:
        return False
    return rule in (TlsRule.VERIFY, TlsRule.REQUIRE) or link.target.tlsa is not None


def _not_secure(rule: TlsRule, sentence: str) -> NotOpened:
    """RFC 8689 section 4.2.1: for good, where the mail demands it; else perhaps later."""
    if rule is TlsRule.REQUIRE:
        return NotOpened(EnhancedStatus.REQUIRETLS_NEEDED, sentence)
    return NotOpened("4.7.0", sentence)


def _refused(reply: Reply) -> NotOpened:
    return NotOpened("4.3.2" if reply.is_temporary else "5.3.2", str(reply), reply)


def waives_tls(head: bytes) -> bool:
    """Return whether the sender prefers delivery to encryption (RFC 8689 section 3).

    Args:
        head: begin of the message, with its header.
    """
    value = find_value(read_fields(head.partition(b"\r\n\r\n")[0] + b"\r\n"), b"tls-required")
    return value is not None and value.strip().lower() == b"no"


# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_EXPIRED = 10
_NOT_TRUSTED = frozenset({18, 19, 20, 21})
_HOST_MISMATCH = frozenset({62, 64})


def _problem_of(error: Exception) -> TlsProblem:
    sentence = _explain(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return TlsProblem(TlsFailure.EXPIRED, sentence)
        if error.verify_code in _NOT_TRUSTED:
            return TlsProblem(TlsFailure.NOT_TRUSTED, sentence)
        if error.verify_code in _HOST_MISMATCH:
            return TlsProblem(TlsFailure.HOST_MISMATCH, sentence)
    return TlsProblem(TlsFailure.OTHER, sentence)


def _explain(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    if isinstance(error, TimeoutError):
        return "the TLS handshake timed out"
    return str(error) or type(error).__name__
