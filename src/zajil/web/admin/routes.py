"""The addresses of the administration."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from zajil.web.admin.account import OneAccount
from zajil.web.admin.accounts import AccountList
from zajil.web.admin.aliases import AliasPages
from zajil.web.admin.changes import ChangePages
from zajil.web.admin.domains import DomainPages
from zajil.web.admin.journeys import JourneySearch
from zajil.web.admin.overview import Overview
from zajil.web.admin.queue import QueuePages
from zajil.web.admin.reports import ReportPages
from zajil.web.admin.round_trip import RoundTripPages
from zajil.web.admin.security import ConnectionPages
from zajil.web.parts import WebParts


def admin_routes(parts: WebParts) -> list[BaseRoute]:
    """Return a line for each address."""
    admins, domain_admins = parts.access.admins, parts.access.domain_admins
    services = parts.services
    overview = Overview(parts.pages, parts.operations, services.configuration)
    place = None if services.catalogue is None else (services.catalogue, services.shard)
    search = JourneySearch(parts.pages, parts.store)
    queue = QueuePages(parts.pages, parts.operations, parts.notices)
    accounts = AccountList(parts.pages, parts.operations, parts.notices)
    account = OneAccount(parts.pages, parts.operations, parts.notices, place)
    aliases = AliasPages(parts.pages, parts.operations, parts.notices)
    changes = ChangePages(parts.pages, parts.operations)
    domains = DomainPages(
        parts.pages,
        parts.operations,
        parts.notices,
        services.configuration,
        services.resolve,
        place,
    )
    trips = RoundTripPages(parts.pages, parts.operations, services.configuration)
    reports = ReportPages(parts.pages, parts.operations)
    security = ConnectionPages(parts.pages, parts.operations, parts.notices)
    return [
        Route("/admin", admins(overview.show), methods=["GET"]),
        Route("/admin/journeys", admins(search.show), methods=["GET"]),
        Route("/admin/queue", domain_admins(queue.show), methods=["GET"]),
        Route("/admin/queue", domain_admins(queue.act), methods=["POST"]),
        Route("/admin/accounts", domain_admins(accounts.show), methods=["GET"]),
        Route("/admin/accounts", domain_admins(accounts.act), methods=["POST"]),
        Route("/admin/accounts/{login}", domain_admins(account.show), methods=["GET"]),
        Route("/admin/accounts/{login}", domain_admins(account.act), methods=["POST"]),
        Route("/admin/aliases", domain_admins(aliases.show), methods=["GET"]),
        Route("/admin/aliases", domain_admins(aliases.act), methods=["POST"]),
        Route("/admin/domains", domain_admins(domains.show), methods=["GET"]),
        Route("/admin/domains", admins(domains.add), methods=["POST"]),
        Route("/admin/domains/{domain}", domain_admins(domains.show_one), methods=["GET"]),
        Route("/admin/domains/{domain}", domain_admins(domains.act), methods=["POST"]),
        Route("/admin/roundtrip", admins(trips.show), methods=["GET"]),
        Route("/admin/roundtrip", admins(trips.send), methods=["POST"]),
        Route("/admin/reports", admins(reports.show), methods=["GET"]),
        Route("/admin/reports/{number}", admins(reports.show_one), methods=["GET"]),
        Route("/admin/security", admins(security.show), methods=["GET"]),
        Route("/admin/security", admins(security.act), methods=["POST"]),
        Route("/admin/changes", admins(changes.show), methods=["GET"]),
    ]
