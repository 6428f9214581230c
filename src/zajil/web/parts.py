"""What the pages of all areas are made with; ``app`` makes it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zajil.operations.context import OperationContext
from zajil.store.engine.open import Store
from zajil.web.access import Access
from zajil.web.language import Language
from zajil.web.notices import Notices
from zajil.web.page import Pages
from zajil.web.security import Sessions
from zajil.web.services import WebServices
from zajil.web.static_files import StaticFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class WebParts:
    """Templates, access control and services of one server."""

    services: WebServices
    operations: OperationContext
    static: StaticFiles
    languages: Mapping[str, Language]
    pages: Pages
    sessions: Sessions
    access: Access
    notices: Notices

    @property
    def store(self) -> Store:
        """The store of the server."""
        return self.services.store
