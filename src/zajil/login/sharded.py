"""Log-in where accounts are in several stores: the name says in which (``store.shards``).

Each shard has a ``LoginService`` of its own. This one stands in front of them on the listeners of
mail programs; a session watches the one that knows its account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zajil.core.ids import AppPasswordId
from zajil.login.account import Account, Origin
from zajil.login.service import FoundKeys, LoginService


class ShardedLogin(LoginService):
    """Passes each name to the service of its shard.

    Args:
        arguments: of the service of the main shard, which this one is, too.
        others: the services of the other shards, by name.
        home_of: the shard of a name that was typed, from memory; raises ``StoreUnavailable`` if it
            cannot be used now.
    """

    def __init__(
        self,
        *arguments: Any,
        others: Mapping[str, LoginService],
        home_of: Callable[[str], str],
        **more: Any,
    ) -> None:
        super().__init__(*arguments, **more)
        self._others = others
        self._home_of = home_of

    def _other(self, login: str) -> LoginService | None:
        """Return the service of a name that was typed; ``None``: this one."""
        return self._others.get(self._home_of(login))

    def serving(self, account: Account) -> LoginService:
        """Return the service that watches the log-ins of an account."""
        return self._others.get(account.shard, self)

    async def log_in(self, login: str, *more: Any, **options: Any) -> Account | None:
        """See ``LoginService.log_in``."""
        if (other := self._other(login)) is not None:
            return await other.log_in(login, *more, **options)
        return await super().log_in(login, *more, **options)

    async def find_scram_keys(self, login: str, origin: Origin) -> FoundKeys:
        """See ``LoginService.find_scram_keys``."""
        if (other := self._other(login)) is not None:
            return await other.find_scram_keys(login, origin)
        return await super().find_scram_keys(login, origin)

    async def log_in_by_key(
        self, login: str, owner: AppPasswordId | None, origin: Origin, mechanism: str
    ) -> Account | None:
        """See ``LoginService.log_in_by_key``."""
        if (other := self._other(login)) is not None:
            return await other.log_in_by_key(login, owner, origin, mechanism)
        return await super().log_in_by_key(login, owner, origin, mechanism)

    async def log_in_with_token(
        self, token: str, authorization_id: str, origin: Origin, mechanism: str
    ) -> Account | None:
        """See ``LoginService.log_in_with_token``: the token may be all that names its owner."""
        name = authorization_id
        if not name and self._tokens is not None and origin.scope:
            name = await self._tokens.judge(token) or ""
        if (other := self._other(name)) is not None:
            return await other.log_in_with_token(token, authorization_id, origin, mechanism)
        return await super().log_in_with_token(token, authorization_id, origin, mechanism)

    async def find_by_name(self, login: str) -> Account | None:
        """See ``LoginService.find_by_name``."""
        if (other := self._other(login)) is not None:
            return await other.find_by_name(login)
        return await super().find_by_name(login)
