"""A mail that an alias of ours sends on to another server is sealed (RFC 8617 section 5.1).

Forwarding breaks SPF, and lists on the way break DKIM. The seal tells the next server what we
found before, in the name of the alias' domain; what it is worth there is what we are worth.

Laws:
- Nothing is sealed that we did not check: a chain whose state is not known is left alone.
- The seal holds our own Authentication-Results, and covers the message as it goes on.
- Where there are keys, a mail goes on sealed or not at all, as with signatures.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.accept.context import AcceptanceContext
from zajil.accept.transaction import Transaction
from zajil.keys.sign import Signer
from zajil.mailauth.arc_seal import SEAL_NEED, seal_arc
from zajil.mailauth.arc_set import ARC_NAMES, find_end
from zajil.mailauth.authres_read import payload_of, read_results
from zajil.mailauth.dkim_sign import CannotSign, SigningKey
from zajil.message.fields import Field, read_fields
from zajil.message.source import Source
from zajil.route.recipient import Local, RecipientRoute
from zajil.tracking.events import MailSealed


def expect_seal(transaction: Transaction, route: RecipientRoute) -> None:
    """Have the body hashed while it arrives, if a recipient leads to another server."""
    if isinstance(route, Local) and route.remote and SEAL_NEED not in transaction.spool.needs:
        transaction.spool.needs = (*transaction.spool.needs, SEAL_NEED)


async def seal_forwarded(
    context: AcceptanceContext,
    transaction: Transaction,
    results: bytes,
    header: bytes,
    body: bytes | Source,
) -> bytes:
    """Return the ARC set of a foreign mail that is forwarded; ``b""``: there is none to add.

    Waits for the keys and the arithmetic; the event is added to the transaction.

    Args:
        context: what signs, the time, our name.
        transaction: who gets the mail.
        results: our Authentication-Results field.
        header: the header section as it goes on, without fields of our name that we did not write.
        body: with the empty line before it.

    Raises:
        StoreUnavailable: nobody knows whether there are keys.
    """
    key = await _find_key(context.signer, transaction)
    if context.signer is None or key is None:
        return b""
    now_ms, fields = context.clock.now_ms(), read_fields(header)
    value = results.partition(b":")[2].removesuffix(b"\r\n")
    found, cv = payload_of(value, context.hostname), chain_state(value, fields)
    if found is None or cv is None:
        return b""
    told = found

    def work() -> bytes:
        digests = transaction.spool.digests(fields, body)
        try:
            return seal_arc(
                header,
                fields,
                digests,
                key,
                authserv_id=context.hostname,
                results=told,
                cv=cv,
                now_s=now_ms // 1000,
            )
        except CannotSign:
            return b""  # what the peer sent cannot be sealed; it goes on as it came

    sealed = await context.signer.in_thread(work)
    if sealed:
        instance = find_end(fields)[0] + 1
        transaction.events.append(MailSealed(now_ms, key.domain, key.selector, instance, cv))
    return sealed


def chain_state(value: bytes, fields: Sequence[Field]) -> str | None:
    """Return what our check said of the chain of a message; ``None``: nothing is known.

    Args:
        value: of our own Authentication-Results.
        fields: of the message.
    """
    read = read_results(value)
    states = [result.result for result in read.results_of("arc")] if read is not None else []
    if len(states) == 1 and states[0] in ("pass", "fail"):
        return states[0]
    has_chain = any(field.name in ARC_NAMES for field in fields)
    return None if has_chain else "none"


async def _find_key(signer: Signer | None, transaction: Transaction) -> SigningKey | None:
    """Return the RSA key of an alias' domain: few verify Ed25519 in ARC."""
    if signer is None:
        return None
    for recipient in transaction.recipients:
        if isinstance(recipient.route, Local) and recipient.route.remote:
            for key in await signer.keyring.keys_of(recipient.address.domain):
                if key.algorithm == "rsa-sha256":
                    return key
    return None
