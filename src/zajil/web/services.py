"""What the pages need from the rest of the server; ``app`` wires it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zajil.accept.context import AcceptanceContext
from zajil.config.options import Configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.config.options_users import WebOptions
from zajil.core.clock import Clock, Random
from zajil.dns.flow import Resolve
from zajil.login.service import LoginService
from zajil.operations.context import OperationContext
from zajil.operations.mail_servers import MailServer
from zajil.read.guarded_fetch import GuardedFetcher
from zajil.read.sender_logos import LogoFinder
from zajil.store.engine.open import Store
from zajil.tls.context import CertificateAndKey
from zajil.web.own_names import OwnNames

if TYPE_CHECKING:
    from zajil.login.sign_on.provider import OpenIdProvider


def _no_certificate() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """Everything the pages use; nothing else of the server is reached from here."""

    store: Store
    login: LoginService
    acceptance: AcceptanceContext
    """Of mail that is sent from a page."""
    clock: Clock
    random: Random
    options: WebOptions
    hostname: str
    """Name of this server, shown at the foot of a page."""
    configuration: Configuration
    """The whole, for the administration."""
    resolve: Resolve | None = None
    """A resolver; ``None``: DNS records are not checked."""
    outside: GuardedFetcher
    """Asks servers that messages name: for pictures, and to unsubscribe."""
    logos: LogoFinder | None = None
    """Looks up the logos of senders; ``None``: none are shown."""
    servers: tuple[MailServer, ...] = ()
    """What mail programs connect to."""
    public_url: str | None = None
    """Address of the pages for people outside; ``None``: that of the request."""
    certificate: Callable[[], CertificateAndKey | None] = _no_certificate
    """Returns the certificate of the server in use, for signatures; ``None``: it has none."""
    provider: OpenIdProvider | None = None
    """Vouches for people (``[sign_on]``); ``None``: nobody does."""
    names: OwnNames
    """The names that requests may be for."""
    shard: str = MAIN_SHARD
    """Whose store ``store`` is."""
    shard_of_login: Callable[[str], str] | None = None
    """Returns the shard of a name that was typed; ``None``: there is only one store."""
    catalogue: OperationContext | None = None
    """The main shard, which knows where each domain is; ``None``: there is only one store."""

    @property
    def operations(self) -> OperationContext:
        """What operations need."""
        return OperationContext(self.store, self.clock, self.random)
