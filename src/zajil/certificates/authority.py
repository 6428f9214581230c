"""The conversation with an authority, by the ``acme`` library (RFC 8555). Everything here blocks.

What the library lacks is added: TLS-ALPN-01 (RFC 8737), the waiting time of a refusal, renewal
information for an order that replaces another (RFC 9773), and what ``authority_network`` does.
Import this module only where it is needed: the library is large.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

import requests
from acme import challenges, client, errors, messages
from josepy.jwk import JWK

from zajil.certificates.authority_network import AuthorityNetwork, retry_after_ms
from zajil.certificates.host_key import renewal_id
from zajil.config.options_acme import AcmeOptions
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.errors import Unavailable
from zajil.store.people.certificates import AcmeAccount

_ORDER_SECONDS = 120
_DEFAULT_ASK_MS = 6 * 3_600_000
"""RFC 9773 section 4.3: how often to ask when the authority does not say."""


class AuthorityFailed(Unavailable):
    """The authority refused, or cannot be reached; the text says why."""

    def __init__(self, reason: str, retry_after_ms: int = 0, kind: str = "") -> None:
        super().__init__(reason)
        self.retry_after_ms = retry_after_ms
        """How long it wants to be left alone."""
        self.kind = kind
        """Of the refusal (RFC 8555 section 6.7): ``rateLimited``; ``""``: it is no refusal."""

    @property
    def is_account_gone(self) -> bool:
        """Whether the authority does not know our account any more."""
        return self.kind == "accountDoesNotExist"


@challenges.ChallengeResponse.register
class TlsAlpn01Response(challenges.KeyAuthorizationChallengeResponse):
    """The answer to TLS-ALPN-01 (RFC 8737 section 3)."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """A challenge that is answered in a TLS handshake."""

    response_cls = TlsAlpn01Response
    typ = response_cls.typ

    def validation(self, account_key: JWK, **_: Any) -> str:
        """Return the key authorization."""
        return self.key_authorization(account_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An order under way."""

    order: messages.OrderResource
    body: messages.ChallengeBody | None
    """``None``: the authority knows already that the name is ours."""
    token: str = ""
    answer: str = ""
    """The key authorization."""
    record: str = ""
    """Value of the TXT record of DNS-01."""


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """When the authority wants a certificate to be renewed (RFC 9773 section 4.2)."""

    start_ms: int
    end_ms: int
    ask_again_ms: int
    """Not to be asked again for so long."""


class Authority:
    """One conversation; for one thread at a time."""

    def __init__(self, options: AcmeOptions, account: AcmeAccount) -> None:
        """Read the directory.

        Raises:
            AuthorityFailed: it cannot be read.
        """
        self._options = options
        self._key = JWK.load(account.private_key)
        name = f"Zajil/{version('zajil')}"
        self._net = AuthorityNetwork(self._key, name)
        if options.ca_file is not None:
            self._net.verify_ssl = str(options.ca_file)  # type: ignore[assignment]
        with self._telling():
            directory = client.ClientV2.get_directory(options.directory or "", self._net)
            self._client = client.ClientV2(directory, self._net)
        if account.uri is not None:
            self._net.account = messages.RegistrationResource(
                body=messages.Registration(), uri=account.uri
            )

    def register(self) -> str:
        """Make an account, or find the one of this key; give its address.

        Raises:
            AuthorityFailed: it was refused.
        """
        options, binding = self._options, None
        with self._telling():
            if options.eab_key_id and options.eab_hmac_key:
                binding = messages.ExternalAccountBinding.from_data(
                    self._key.public_key(),
                    options.eab_key_id,
                    options.eab_hmac_key,
                    self._client.directory,
                )
            elif self._client.external_account_required():
                raise AuthorityFailed(
                    "the authority requires an external account: set acme.eab_key_id and "
                    "acme.eab_hmac_key"
                )
            registration = messages.NewRegistration.from_data(
                email=options.contact,
                terms_of_service_agreed=options.agree_terms,
                external_account_binding=binding,
            )
            try:
                uri = self._client.new_account(registration).uri
            except errors.ConflictError as error:
                uri = error.location
                self._net.account = messages.RegistrationResource(
                    body=messages.Registration(), uri=uri
                )
        if not isinstance(uri, str) or not uri.startswith(("https://", "http://")):
            raise AuthorityFailed("the authority gave our account no address")
        return uri

    def begin(self, request: bytes, replaces: bytes | None) -> Pending:
        """Order a certificate; give the challenge of the kind that is configured.

        Args:
            request: PEM, for one name.
            replaces: chain of the certificate that it renews.

        Raises:
            AuthorityFailed: it was refused, or has no such challenge.
        """
        self._net.replaces = None
        with self._telling():
            if replaces is not None and "renewalInfo" in self._client.directory.to_partial_json():
                self._net.replaces = renewal_id(replaces)
            order = self._client.new_order(request)
            self._net.replaces = None
            [resource] = order.authorizations
            if resource.body.status == messages.STATUS_VALID:
                return Pending(order=order, body=None)
            offered = {one.chall.typ: one for one in resource.body.challenges}
            body = offered.get(self._options.challenge)
            if body is None:
                raise AuthorityFailed(
                    f"the authority offers no {self._options.challenge} for this name, only "
                    f"{', '.join(sorted(offered))}"
                )
            is_dns = isinstance(body.chall, challenges.DNS01)
            return Pending(
                order=order,
                body=body,
                token=body.chall.encode("token"),
                answer=body.chall.key_authorization(self._key),
                record=str(body.chall.validation(self._key)) if is_dns else "",
            )

    def finish(self, pending: Pending) -> bytes:
        """Have the challenge checked and the certificate issued; give its chain in PEM.

        Raises:
            AuthorityFailed: the check failed, or the certificate was refused.
        """
        until = datetime.now() + timedelta(seconds=_ORDER_SECONDS)  # noqa: DTZ005 the library's way
        with self._telling():
            if pending.body is not None:
                response = pending.body.chall.response(self._key)
                self._client.answer_challenge(pending.body, response)
            done = self._client.poll_and_finalize(pending.order, until)
            return str(done.fullchain_pem).encode("ascii")

    def renewal_window(self, chain: bytes) -> RenewalWindow | None:
        """Ask when a certificate should be renewed; ``None``: the authority does not say.

        Raises:
            AuthorityFailed: there was no answer.
        """
        with self._telling():
            base = self._client.directory.to_partial_json().get("renewalInfo")
            identifier = renewal_id(chain)
            if base is None or identifier is None:
                return None
            response = self._net.get(f"{base}/{identifier}")
            window = messages.RenewalInfo.from_json(response.json()).suggested_window
            start, end = int(window.start.timestamp()), int(window.end.timestamp())
        wait_ms = retry_after_ms(response) or _DEFAULT_ASK_MS
        return RenewalWindow(start * 1000, max(start, end) * 1000, wait_ms)

    def caa_identity(self) -> str | None:
        """Return the name of the authority for CAA records (RFC 8659); ``None``: it has none.

        Security: the name goes into our zone.
        """
        named = self._client.directory.meta.caa_identities
        first = named[0] if isinstance(named, (list, tuple)) and named else None
        try:
            return to_ascii(first) if isinstance(first, str) else None
        except BadDomain:
            return None

    def close(self) -> None:
        """Close the connections."""
        self._net.session.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn whatever went wrong into one sentence."""
        try:
            yield
        except AuthorityFailed:
            raise
        except errors.ValidationError as error:
            raise AuthorityFailed(_failed_checks(error), self._net.retry_after_ms) from error
        except messages.Error as error:
            reason = _problem(error)
            raise AuthorityFailed(reason, self._net.retry_after_ms, error.code or "") from error
        except errors.IssuanceError as error:
            raise AuthorityFailed(_problem(error.error)) from error
        except errors.TimeoutError as error:
            raise AuthorityFailed("the authority did not finish in time") from error
        except requests.RequestException as error:
            raise AuthorityFailed(_network_problem(error, self._options)) from error
        except Exception as error:
            # Attack: the library trusts an answer to have the form that it expects, and fails with
            # whatever happens: RecursionError, OverflowError, AttributeError.
            raise AuthorityFailed(
                f"the authority gave an unexpected answer: {_oddity(error)}"
            ) from error


def _failed_checks(error: errors.ValidationError) -> str:
    reasons = [
        f"{one.chall.typ}: {_problem(one.error)}"
        for resource in error.failed_authzrs
        for one in resource.body.challenges
        if one.error is not None
    ]
    return "the authority could not verify the name by " + "; ".join(reasons)


def _problem(error: messages.Error) -> str:
    parts = [error.detail or error.title or error.typ]
    parts += [one.detail or one.typ for one in (error.subproblems or ())[:10]]
    return _one_line(": ".join(map(str, parts)), 500)


def _oddity(error: Exception) -> str:
    first = error.args[0] if error.args else None
    if isinstance(first, requests.Response):
        return f"HTTP status {first.status_code}"
    return _one_line(str(error) or type(error).__name__, 300)


def _one_line(text: str, most: int) -> str:
    """Return text of the authority for people: a part of it, without control characters."""
    shown = "".join(char if char.isprintable() else " " for char in text[: most * 4])
    return " ".join(shown.split())[:most]


def _network_problem(error: requests.RequestException, options: AcmeOptions) -> str:
    if isinstance(error, ValueError):  # it was reached
        return f"the authority gave an unexpected answer: {_oddity(error)}"
    where = f"cannot reach the authority at {options.directory}"
    if isinstance(error, requests.exceptions.SSLError):
        return f"{where}: its certificate is not trusted (acme.ca_file names further roots)"
    if isinstance(error, requests.exceptions.Timeout):
        return f"{where}: time-out"
    inner: BaseException = error
    while inner.args and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None) or inner
    return f"{where}: {_one_line(str(reason)[-200:], 200)}"
