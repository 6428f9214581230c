"""QR codes, made on the server."""

from __future__ import annotations

from markupsafe import Markup


def qr_code(text: str) -> Markup:
    """Return a text as a QR code: an SVG that fills its place, without styles."""
    import segno  # with what it needs it takes a megabyte, for a page that few ever see

    code = segno.make(text, error="m", micro=False)
    svg = code.svg_inline(omitsize=True, dark="#000", light="#fff", border=4, svgclass="qr")
    return Markup(svg)  # noqa: S704 - made of numbers by the library
