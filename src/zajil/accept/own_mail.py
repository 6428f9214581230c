"""Mail that this server writes itself: bounces, reports, notices.

Each gets a mail id, is routed, signed, planned, staged, and made into the same ``Intake`` as mail
that came from others. Nothing checks it.

Laws:
- Where the domain of From, or one above it, has keys, such mail is signed or not accepted.
- It never causes a bounce: its reverse path is null, or each recipient says NOTIFY=NEVER.
- What must be written together with other rows (a bounce, with the result that it reports) takes
  the ``Intake`` of ``prepare`` into its own unit of work; all else is sent with ``send``.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.accept.plan import Addressed, Plan, plan_copies
from zajil.core.address import Address
from zajil.core.clock import Clock, Random
from zajil.core.directory import AccountEntry
from zajil.core.ids import ID_RANDOM_SIZE, MailId, new_mail_id
from zajil.core.mail_options import PLAIN_MAIL, MailOptions
from zajil.core.value_class import value_class
from zajil.keys.sign import Signer
from zajil.message.field_text import header_text
from zajil.message.fields import read_fields, split_message
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.recipient import Local, Remote, Suspended, route_recipient
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes
from zajil.tracking.events import TrackingEvent


@value_class(frozen=True, slots=True, kw_only=True)
class OwnMail:
    """A message of our own, and its envelope."""

    mail_id: MailId
    """From ``OwnMailer.new_mail_id``: the message may name it."""
    at_ms: int
    """When it was written, as in Date."""
    message: bytes
    """With CRLF line ends; not signed yet."""
    header_from: Address
    message_id: str
    """As in Message-ID, with angle brackets."""
    recipients: Sequence[Addressed]
    """From ``OwnMailer.route``."""
    reverse_path: Address | None = None
    """``None``: the null path, which nothing is reported to."""
    parent_mail_id: MailId | None = None
    """The mail that it reports on."""
    options: MailOptions = PLAIN_MAIL


@value_class(frozen=True, slots=True, kw_only=True)
class OwnMailer:
    """Makes and accepts mail of our own."""

    store: Store
    clock: Clock
    random: Random
    lifetime_ms: int
    """How long delivery to another server is tried (``queue.lifetime``)."""
    signer: Signer | None = None
    """``None``: nothing is signed (``keys.sign``)."""

    def new_mail_id(self, at_ms: int) -> MailId:
        """Return the id of a new mail."""
        return new_mail_id(at_ms, self.random(ID_RANDOM_SIZE))

    async def route(
        self, address: Address, postmaster: AccountEntry | None
    ) -> Local | Remote | None:
        """Return where mail to an address goes; ``None``: nobody has the address.

        A suspended account gets its copy: its owner finds it when the account is active again.

        Args:
            address: of the recipient.
            postmaster: gets what comes to addresses that must exist and that nobody has taken
                (RFC 5321 section 4.5.1); ``None``: these do not exist either.

        Raises:
            StoreUnavailable: the directory cannot be read.
        """
        directory = self.store.directory
        route = await ask_directory_and_wait(route_recipient(address, postmaster), directory)
        if isinstance(route, Suspended):
            return Local((route.entry,))
        return route if isinstance(route, Local | Remote) else None

    async def prepare(self, mail: OwnMail) -> Intake:
        """Sign, plan and stage a mail; return what a unit of work has to accept.

        Waits for the keys and for the disk. Cancelling leaves nothing behind.

        Raises:
            StoreUnavailable: it cannot be signed or kept.
        """
        message, signed = await self._sign(mail.message)
        plan = Plan(reverse_path=mail.reverse_path, now_ms=mail.at_ms, lifetime_ms=self.lifetime_ms)
        copies = plan_copies(mail.recipients, plan)
        content = await self.store.blobs.stage_any((message,))
        end, _ = split_message(mail.message)
        return Intake(
            mail_id=mail.mail_id,
            parent_mail_id=mail.parent_mail_id,
            session_id=None,
            received_at_ms=mail.at_ms,
            account_id=None,
            reverse_path=mail.reverse_path,
            header_from=str(mail.header_from),
            message_id=mail.message_id,
            subject=header_text(read_fields(mail.message[:end]), b"subject"),
            content=content,
            size=content.size,
            needs_smtputf8=not mail.message[:end].isascii(),
            local=tuple(copies.local),
            remote=tuple(copies.remote),
            refused=(),
            events=(*signed, *copies.events),
            options=mail.options,
        )

    async def send(self, mail: OwnMail) -> None:
        """Accept a mail by itself.

        Raises:
            StoreUnavailable: nothing was kept.
            NoSuchMailbox: the mailbox of a recipient was deleted; nothing was kept.
        """
        await self.store.write(write_intakes, await self.prepare(mail))

    async def _sign(self, message: bytes) -> tuple[bytes, tuple[TrackingEvent, ...]]:
        return (message, ()) if self.signer is None else await self.signer.sign_own(message)
