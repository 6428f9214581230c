"""Log in at a relay (RFC 4954), with the best mechanism that both sides have."""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Mapping

from zajil.core.clock import Random
from zajil.deliver.client_channel import Channel, LogInRefused
from zajil.sasl.client import BadChallenge, ClientMechanism, client_mechanisms
from zajil.smtp.codes import Code
from zajil.smtp.reply import Reply


async def log_in(
    link: Channel, login: str, password: str, *, random: Random, seconds: float
) -> None:
    """Log in; afterwards the link is ready for MAIL.

    Waits for each reply for ``seconds``.

    Raises:
        LogInRefused: why not; nothing permanent, because an operator can mend it.
        LinkBroken: the conversation cannot go on.
    """
    # Security: the password leaves only over TLS, to whom the certificate names.
    if not link.verified:
        raise LogInRefused("the connection is not secure enough for a log-in")
    host = link.target.host
    offered = _offered(link.conn.capabilities)
    mechanisms = client_mechanisms(offered, login, password, random)
    if not mechanisms:
        if offered:
            methods = ", ".join(sorted(offered))
            raise LogInRefused(f"{host} offers only {methods} for the log-in")
        raise LogInRefused(f"{host} does not offer a log-in (AUTH)")
    refusal = ""
    for mechanism in mechanisms:
        try:
            reply = await _exchange(link, mechanism, seconds)
        except BadChallenge as error:
            refusal = f"the log-in at {host} with {mechanism.name} failed: {error}"
            continue
        if reply.accepts and mechanism.is_complete:
            return
        if reply.accepts:
            # Security: the server is in a session now, and may not be the one that it says.
            raise LogInRefused(f"{host} did not prove that it knows the password")
        refusal = f"{host} refused the log-in: {reply}"
        if reply.is_temporary:
            break
    raise LogInRefused(refusal)


def _offered(capabilities: Mapping[str, str]) -> frozenset[str]:
    """Return the mechanisms of the EHLO reply, also in the form ``AUTH=LOGIN`` of old servers."""
    words = capabilities.get("AUTH", "").split()
    for keyword, parameters in capabilities.items():
        if keyword.startswith("AUTH="):
            words += [keyword.removeprefix("AUTH="), *parameters.split()]
    return frozenset(word.upper() for word in words)


async def _exchange(link: Channel, mechanism: ClientMechanism, seconds: float) -> Reply:
    """Return the last reply of an exchange.

    Raises:
        BadChallenge: the exchange was cancelled.
    """
    first = mechanism.start()
    if link.conn.auth(mechanism.name, first):
        first = None
    while True:
        await link.send(seconds)
        reply = await link.receive(seconds)
        if reply.code != Code.AUTH_CHALLENGE:
            return reply
        if first is not None:
            link.conn.auth_response(first)
            first = None
            continue
        try:
            # In a thread: SCRAM takes up to half a second.
            answer = await asyncio.to_thread(mechanism.respond, _read_challenge(reply))
        except BadChallenge:
            link.conn.cancel_auth()
            await link.send(seconds)
            await link.receive(seconds)
            raise
        link.conn.auth_response(answer)


def _read_challenge(reply: Reply) -> bytes:
    try:
        return b64decode(reply.lines[0].strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadChallenge("the challenge is not base64") from None
