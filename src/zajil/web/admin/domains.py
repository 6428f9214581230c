"""``/admin/domains``: the domains of this server, their DNS records and their DKIM keys."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.config.options import Configuration
from zajil.config.options_keys import KeyOptions
from zajil.core.actor import Actor
from zajil.core.domain import BadDomain, to_ascii, to_unicode
from zajil.dns.flow import Resolve
from zajil.login.account import Account
from zajil.operations.aliases import add_alias, remove_alias, set_alias
from zajil.operations.context import OperationContext
from zajil.operations.dkim_keys import make_first_keys, revoke_keys, rotate_keys, show_keys
from zajil.operations.dns_advice import records_for
from zajil.operations.dns_check import ADVICE, CheckedRecord, check_dns, is_all_right
from zajil.operations.domains import add_domain, remove_domain
from zajil.operations.server_facts import ServerFacts, find_facts
from zajil.resolver.authority import Authorities
from zajil.store.engine.reader import Snapshot
from zajil.store.people.aliases import list_aliases
from zajil.store.people.dkim_keys import DkimKeyRow
from zajil.store.people.domains import DomainUse, list_domains, require_domain
from zajil.web.access import actor_of
from zajil.web.admin.desk_page import administers
from zajil.web.admin.problems import Problem, attempt
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor

_LONGEST = 320
_ZONE_SECONDS = 5.0
"""For the answer of a name server of the zone."""
_WATCH_SECONDS = 30
"""Between two checks of a page that is watched."""


class DomainPages:
    """All domains, and a page for each.

    Args:
        pages: templates.
        operations: what operations need.
        notices: what was done.
        configuration: of the server: its name, its listeners, how keys are made.
        resolve: a resolver; ``None``: records are shown and not looked up.
    """

    def __init__(
        self,
        pages: Pages,
        operations: OperationContext,
        notices: Notices,
        configuration: Configuration,
        resolve: Resolve | None,
        place: tuple[OperationContext, str] | None = None,
    ) -> None:
        """Take what is needed.

        Args:
            pages: renders.
            operations: of the store of these pages.
            notices: tell what was done.
            configuration: of the server.
            resolve: a resolver; ``None``: DNS records are not checked.
            place: the main shard, and the name of the shard of these pages; ``None``: there is only
                one store.
        """
        self._pages = pages
        self._operations = operations
        self._notices = notices
        self._configuration = configuration
        self._resolve = resolve
        self._place = place

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """List the domains."""
        response = await self._render_list(visitor, done=self._notices.read(request))
        self._notices.forget(response)
        return response

    async def add(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Add a domain, and show the records to publish."""
        name = str((await request.form()).get("domain", "")).strip()[:_LONGEST]
        actor, keys = actor_of(request, account), self._configuration.keys
        made = await attempt(self._add(actor, name, keys))
        if isinstance(made, Problem):
            return await self._render_list(visitor, 409, problem=made, typed=name)
        response = RedirectResponse(f"/admin/domains/{made}", 303)
        self._notices.leave(response, Done("domainadd", 1))
        return response

    async def _add(self, actor: Actor, name: str, keys: KeyOptions) -> str:
        if self._place is not None:
            from zajil.operations.shards import place_domain

            catalogue, shard = self._place
            await place_domain(catalogue, actor, name, shard)
        return await add_domain(self._operations, actor, name, None, keys)

    async def _remove(self, actor: Actor, name: str) -> None:
        if self._place is None:
            await remove_domain(self._operations, actor, name)
            return
        from zajil.operations.shards import forget_domain, require_together

        catalogue = self._place[0]
        await catalogue.read(lambda conn: require_together(conn, name))
        await remove_domain(self._operations, actor, name)
        await forget_domain(catalogue, actor, name)

    async def show_one(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show one domain; ``?check=1`` looks its records up, ``&watch=1`` again and again."""
        response = await self._render_one(request, visitor, done=self._notices.read(request))
        self._notices.forget(response)
        return response

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Change the catch-all or the keys of a domain, or remove it."""
        form = await request.form()
        name, action = _domain_of(request), str(form.get("action"))
        value = str(form.get("value", "")).strip()[:_LONGEST]
        done = await attempt(self._change(actor_of(request, account), name, action, value))
        if isinstance(done, Problem):
            return await self._render_one(request, visitor, 409, problem=done)
        gone = action == "remove"
        response = RedirectResponse("/admin/domains" if gone else f"/admin/domains/{name}", 303)
        self._notices.leave(response, Done(f"domain{action}", 1))
        return response

    async def _change(self, actor: Actor, name: str, action: str, value: str) -> object:
        context, keys = self._operations, self._configuration.keys
        match action:
            case "catchall":
                await self._set_catch_all(actor, f"*@{name}", value.split())
                return None
            case "keys":
                return await make_first_keys(context, actor, name, keys)
            case "rotate" | "activate":
                at_once = action == "activate"
                return await rotate_keys(context, actor, name, keys, at_once=at_once)
            case "revoke":
                return await revoke_keys(context, actor, name, [value])
            case "remove":
                if value.casefold() not in (name, to_unicode(name)):
                    return Problem("NotConfirmed", name)
                await self._remove(actor, name)
                return None
            case _:
                raise HTTPException(400)

    async def _set_catch_all(self, actor: Actor, address: str, targets: list[str]) -> None:
        there = await self._operations.read(lambda conn: _catch_all(conn, address) is not None)
        if not targets:
            if there:
                await remove_alias(self._operations, actor, address)
        elif there:
            await set_alias(self._operations, actor, address, targets)
        else:
            await add_alias(self._operations, actor, address, targets)

    async def _render_list(
        self, visitor: Visitor, status: int = 200, **context: object
    ) -> Response:
        rows = await self._operations.read(list_domains)
        domains = [one for one in rows if administers(visitor, one.ascii_name)]
        shown = {"done": None, "problem": None, "typed": "", **context}
        return self._pages.render(visitor, "admin/domains.html", status, domains=domains, **shown)

    async def _render_one(
        self, request: Request, visitor: Visitor, status: int = 200, **context: object
    ) -> Response:
        name = _domain_of(request)
        if not administers(visitor, name):
            raise HTTPException(404)

        def load(conn: Snapshot) -> tuple[DomainUse, list[DkimKeyRow], str, ServerFacts]:
            require_domain(conn, name)
            use = next(one for one in list_domains(conn) if one.ascii_name == name)
            facts = find_facts(self._configuration, conn)
            return use, show_keys(conn, name), _catch_all(conn, f"*@{name}") or "", facts

        use, keys, catch_all, facts = await self._operations.read(load)
        records = records_for(name, self._configuration, keys, facts)
        checked = [CheckedRecord(one) for one in records]
        has_checked = "check" in request.query_params and self._resolve is not None
        if has_checked and self._resolve is not None:
            zone = Authorities(self._resolve, self._operations.random, _ZONE_SECONDS)
            checked = await check_dns(records, self._resolve, zone.ask)
        all_right = has_checked and is_all_right(checked)
        watches = has_checked and "watch" in request.query_params and not all_right
        shown = {"done": None, "problem": None, **context}
        response = self._pages.render(
            visitor,
            "admin/domain.html",
            status,
            use=use,
            keys=keys,
            catch_all=catch_all,
            checked=checked,
            advice=ADVICE,
            has_checked=has_checked,
            can_check=self._resolve is not None,
            all_right=all_right,
            watches=watches,
            signs=self._configuration.keys.sign,
            **shown,
        )
        if watches:
            response.headers["refresh"] = str(_WATCH_SECONDS)
        return response


def _domain_of(request: Request) -> str:
    try:
        return to_ascii(request.path_params["domain"])
    except BadDomain:
        raise HTTPException(404) from None


def _catch_all(conn: Snapshot, address: str) -> str | None:
    """Return where a catch-all leads, addresses divided by a space; ``None``: there is none."""
    row = next((one for one in list_aliases(conn) if str(one.address) == address), None)
    return None if row is None else " ".join(one.unicode for one in row.targets)
