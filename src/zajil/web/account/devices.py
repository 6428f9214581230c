"""``/account/devices``: set up a mail program, by hand or with a file."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.address import BadAddress, parse_address
from zajil.core.domain import BadDomain
from zajil.login.account import Account
from zajil.web.account.frame import AccountPages
from zajil.web.account.qr import qr_code
from zajil.web.mail_servers import make_autoconfig, make_profile
from zajil.web.own_names import host_of
from zajil.web.page import Visitor

_PROFILE = "application/x-apple-aspen-config"


class DevicePages(AccountPages):
    """The tab "Devices", and the files that programs load."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show servers and ports, and the ways to set a program up."""
        url = self._parts.services.public_url
        here = f"{url.rstrip('/')}/account/devices" if url else ""
        return self.render(
            request,
            visitor,
            "account_devices.html",
            account=account,
            servers=self._parts.services.servers,
            here=here,
            qr=qr_code(here) if here else "",
        )

    async def profile(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send a configuration profile for iPhone, iPad and Mac."""
        made = make_profile(
            self._parts.services.servers,
            address=str(account.address),
            login=account.login,
            name=account.display_name or account.address.unicode,
        )
        if made is None:
            raise HTTPException(404)
        headers = {"Content-Disposition": 'attachment; filename="mail.mobileconfig"'}
        return Response(made, media_type=_PROFILE, headers=headers)

    async def autoconfig(self, request: Request) -> Response:
        """Send the description of the servers, to anyone who asks for a domain of ours."""
        address = request.query_params.get("emailaddress", "")
        try:
            name = parse_address(address).domain if address else host_of(request.scope)
        except (BadAddress, BadDomain):
            raise HTTPException(404) from None
        names, servers = self._parts.services.names, self._parts.services.servers
        domain = await names.domain(name)
        if not servers or domain is None or (address and domain != name):
            raise HTTPException(404)
        return Response(make_autoconfig(servers, domain), media_type="text/xml")
