"""Both ends of one mail on one page: the sender's server and the recipient's, joined by the id in
the 250. For the lab, which knows both stores; no server of the real world shows another's journey.
"""

from __future__ import annotations

from starlette.requests import Request

from zajil.core.clock import Clock
from zajil.web.language import choose_language, choose_zone, load_languages
from zajil.web.page import THEMES, Pages, Site, Visitor
from zajil.web.security import local_path
from zajil.web.static_files import StaticFiles

COOKIE_NAME = "zajil_lab"
"""The lab's own; each of its domains has another."""


_LAB = Site("Zajil lab", COOKIE_NAME)


class SidesPages:
    """Renders pages that nobody logs in to, with the templates and styles of ``web``."""

    def __init__(self, clock: Clock, site: Site = _LAB) -> None:
        """Load the templates.

        Args:
            clock: the time.
            site: whose pages they are.
        """
        self.languages = load_languages()
        self.static = StaticFiles()
        """Serve its ``show`` at ``/static/{name}``."""
        self._pages = Pages(self.languages, self.static, clock, site)
        self._cookie_name = site.cookie_name

    def visitor(self, request: Request, csrf: str = "") -> Visitor:
        """Return the language and theme of a request."""
        cookies = request.cookies
        theme = cookies.get(f"{self._cookie_name}_theme", "")
        return Visitor(
            language=choose_language(
                self.languages,
                cookies.get(f"{self._cookie_name}_language"),
                request.headers.get("accept-language", ""),
            ),
            zone=choose_zone(cookies.get(f"{self._cookie_name}_zone")),
            theme=theme if theme in THEMES else "",
            path=local_path(request.url.path, "/"),
            csrf=csrf,
            has_zone=f"{self._cookie_name}_zone" in cookies,
        )

    def render(self, visitor: Visitor, template: str, **context: object) -> str:
        """Render any template of ``web/templates`` that the lab uses."""
        return self._pages.render_text(visitor, template, **context)
