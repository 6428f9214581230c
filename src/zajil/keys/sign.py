"""Signs a message with each active key of the domain in From.

Laws:
- The signing domain is the domain of From, or a parent domain if the server writes in its own name,
  so that the signature is aligned with it (RFC 9989 section 4.4.1).
- Mail of a domain without keys is not signed. If there are keys, mail is never sent unsigned: any
  error here is raised, and the mail is deferred.
- The signatures precede the header section that they cover; fields that are added above them later
  (Received, Authentication-Results) are not signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from zajil.core.clock import Clock
from zajil.core.value_class import value_class
from zajil.keys.keyring import Keyring, Keys
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed, body_of
from zajil.mailauth.dkim_sign import sign_dkim
from zajil.message.address_list import read_from
from zajil.message.fields import Field, find_field, read_fields, split_message
from zajil.tracking.events import MailSigned, TrackingEvent

T = TypeVar("T")

BODY_NEED = BodyNeed("relaxed", "sha256", None)
"""The body hash of our signatures: relaxed, because servers on the way trim white space."""


@value_class(frozen=True, slots=True)
class Signed:
    """What signing gave."""

    fields: bytes
    """To stand on top of the header section, with their CRLFs; empty: there are no keys."""
    events: tuple[TrackingEvent, ...]


UNSIGNED = Signed(b"", ())


class Signer:
    """Signs what leaves one worker."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self.keyring = keyring
        self._clock = clock
        # An RSA signature takes a millisecond, three mails' worth of the event loop, and needs
        # no GIL: in a thread of its own, others are served meanwhile.
        self._thread = ThreadPoolExecutor(1, "sign")

    async def sign(
        self, header: bytes, fields: Sequence[Field], hash_body: Callable[[], BodyDigests]
    ) -> Signed:
        """Sign a message in the name of its author's domain.

        Waits for the store after a change of keys, and for the arithmetic.

        Args:
            header: the header section, as it will leave.
            fields: what ``read_fields(header)`` gave.
            hash_body: gives the hashes of the body, ``BODY_NEED`` among them; called in a thread,
                and only if there are keys.

        Raises:
            StoreUnavailable: nobody knows whether the domain has keys.
        """
        domain = author_domain(fields)
        if domain is None:
            return UNSIGNED
        keys = await self.keyring.keys_of(domain)
        return await self._sign(header, fields, hash_body, domain, keys)

    async def sign_own(self, message: bytes) -> tuple[bytes, tuple[TrackingEvent, ...]]:
        """Sign a whole message that our server writes in its own name.

        Returns:
            The message, with its signatures if there are keys for them; and the events.

        Raises:
            StoreUnavailable: nobody knows whether there are keys.
        """
        end, _ = split_message(message)
        header = message[:end]
        fields = read_fields(header)
        author = author_domain(fields)
        if author is None:
            return message, ()
        domain, keys = await self.keyring.aligned_keys(author)

        hash_body = partial(hash_anew, message[end:])
        signed = await self._sign(header, fields, hash_body, domain, keys)
        return signed.fields + message, signed.events

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do the arithmetic of a key where the event loop does not wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _sign(
        self,
        header: bytes,
        fields: Sequence[Field],
        hash_body: Callable[[], BodyDigests],
        domain: str,
        keys: Keys,
    ) -> Signed:
        if not keys:
            return UNSIGNED
        now_ms = self._clock.now_ms()

        def work() -> bytes:
            digests = hash_body()
            made = [sign_dkim(header, fields, digests, key, now_s=now_ms // 1000) for key in keys]
            return b"".join(made)

        written = await self.in_thread(work)
        selectors = tuple([key.selector for key in keys])
        algorithms = tuple([key.algorithm for key in keys])
        return Signed(written, (MailSigned(now_ms, domain, selectors, algorithms),))


def hash_anew(body: bytes) -> BodyDigests:
    """Hash a whole body, with the empty line before it, as our signatures ask for."""
    digests = BodyDigests((BODY_NEED,))
    digests.feed(body_of(body))
    return digests


def author_domain(fields: Sequence[Field]) -> str | None:
    """Return the domain of the first author in From, in ASCII; ``None``: there is none."""
    field = find_field(fields, b"from")
    people = read_from(field.value).people if field is not None else ()
    address = people[0].address if people else None
    return None if address is None else address.domain
