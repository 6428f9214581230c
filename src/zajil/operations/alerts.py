"""What operators do with alerts: list them, dismiss one, send a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zajil.accept.own_mail import OwnMailer
from zajil.config.options import Configuration
from zajil.core.actor import Actor
from zajil.core.errors import NotFound
from zajil.keys.keyring import Keyring
from zajil.keys.sign import Signer
from zajil.monitor import alert_texts
from zajil.monitor.alert_texts import Speaker
from zajil.monitor.alerts import AlertMailer, alert_of
from zajil.monitor.conditions import Alert
from zajil.operations.context import OperationContext, require_admin
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.intake import write_intakes
from zajil.store.reports.alerts import dismiss_alerts, list_alerts


class NoSuchAlert(NotFound):
    """There is no such alert now."""


def show_alerts(conn: Snapshot) -> list[Alert]:
    """Return the conditions that last, the oldest first."""
    return [alert for row in list_alerts(conn) if (alert := alert_of(row)) is not None]


async def dismiss_alert(context: OperationContext, actor: Actor, kind: str, subject: str) -> None:
    """Forget an alert; of DNS records, take those that are there now as right.

    It begins again where the condition is found again.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAlert: there is none.
    """
    require_admin(actor)
    if not await context.write(dismiss_alerts, (kind, subject)):
        of = f" of {subject}" if subject else ""
        raise NoSuchAlert(f"there is no alert {kind}{of}: `zajil alerts list` shows all")


async def send_test_alert(
    context: OperationContext,
    actor: Actor,
    configuration: Configuration,
    languages: Callable[[str], Speaker],
) -> Sequence[str]:
    """Send a test to all who get alerts; return their addresses.

    Args:
        context: with a store that was started.
        actor: must be an administrator.
        configuration: of the server.
        languages: finds a language by its code.

    Raises:
        NotAllowed: the actor is not an administrator.
        StoreUnavailable, NoSuchMailbox: nothing was sent.
    """
    require_admin(actor)
    store, clock = context.store, context.clock
    await store.directory.load()
    letters = AlertMailer(
        mailer=OwnMailer(
            store=store,
            clock=clock,
            random=context.random,
            lifetime_ms=configuration.queue.lifetime_ms,
            signer=Signer(Keyring(store), clock) if configuration.keys.sign else None,
        ),
        options=configuration.alerts,
        hostname=configuration.server.hostname,
        languages=languages,
    )
    sent: list[str] = []
    for reader in await letters.readers():
        language = letters.speaker(reader)
        title = f"[{letters.hostname}] {language.gettext(alert_texts.TEST_TITLE)}"
        text = f"{language.gettext(alert_texts.TEST_TEXT)}\n"
        mail = await letters.mail_to(reader, title, text, clock.now_ms())
        await store.write(write_intakes, mail)
        sent.append(str(reader.addressed.address))
    return sent
