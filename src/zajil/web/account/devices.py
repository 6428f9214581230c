"""``/account/devices``: set up a mail program, by hand or with a file."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.web.account.frame import AccountPages
from zajil.web.account.qr import qr_code
from zajil.web.client_settings.apple_profile import can_sign, make_profile
from zajil.web.client_settings.pages import profile_response
from zajil.web.page import Visitor


class DevicePages(AccountPages):
    """The tab "Devices", and the profile of its owner."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show servers and ports, and the ways to set a program up."""
        url = self._parts.services.public_url
        pair = self._parts.services.certificate()
        here = f"{url.rstrip('/')}/account/devices" if url else ""
        return self.render(
            request,
            visitor,
            "account_devices.html",
            account=account,
            servers=self._parts.services.servers,
            here=here,
            qr=qr_code(here) if here else "",
            is_signed=pair is not None and can_sign(pair),
        )

    async def profile(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send a configuration profile for iPhone, iPad and Mac."""
        services = self._parts.services
        made = make_profile(
            services.servers,
            address=account.address,
            login=account.login,
            name=account.display_name or account.address.unicode,
        )
        if made is None:
            raise HTTPException(404)
        return profile_response(services, made)
