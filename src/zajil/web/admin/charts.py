"""Charts as SVG, drawn on the server. Pure.

A chart is a picture for people who see it; the same figures stand in a table beside it. Colours are
classes of ``desk.css``. Time runs in the direction of the page's language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 600, 160
_ROOM = 8
"""Above the highest point."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    kind: str
    """Its class in ``desk.css``: ``one`` or ``two``."""
    values: Sequence[int]
    """In the order of time."""


def draw_lines(title: str, series: Sequence[Series], *, mirrored: bool) -> Markup:
    """Return an area for each series, over one scale that begins at 0.

    Args:
        title: what the chart shows, for those who do not see it.
        series: all of one length.
        mirrored: time runs from right to left.
    """
    top = scale_top(max((max(one.values, default=0) for one in series), default=0))
    areas = Markup().join(_area(one, top, mirrored=mirrored) for one in series)
    lines = Markup().join(
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(WIDTH, y, y)
        for y in (_y(top, top), _y(top / 2, top), HEIGHT)
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" '
        'aria-label="{title}"><title>{title}</title>{lines}{areas}</svg>'
    ).format(w=WIDTH, h=HEIGHT, title=title, lines=lines, areas=areas)


def scale_top(highest: int) -> int:
    """Return the end of a scale: a round number, not below the highest value."""
    top = 1
    while top < highest:
        for factor in (2, 3, 4, 5, 6, 8, 10):
            if top * factor >= highest:
                return top * factor
        top *= 10
    return top


def _area(one: Series, top: int, *, mirrored: bool) -> Markup:
    last = max(1, len(one.values) - 1)
    points = [
        (WIDTH - round(at * WIDTH / last) if mirrored else round(at * WIDTH / last), _y(value, top))
        for at, value in enumerate(one.values)
    ]
    if not points:
        return Markup()
    line = " ".join(f"{x},{y}" for x, y in points)
    first, end = points[0][0], points[-1][0]
    return Markup(
        '<polygon class="area {kind}" points="{first},{h} {line} {end},{h}"/>'
        '<polyline class="line {kind}" points="{line}"/>'
    ).format(kind=one.kind, first=first, end=end, h=HEIGHT, line=line)


def _y(value: float, top: int) -> int:
    return round(HEIGHT - value * (HEIGHT - _ROOM) / top)
