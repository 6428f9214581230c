"""Whether an SVG is a logo that may be shown: the profile SVG Tiny PS, by an allow-list.

By draft-svg-tiny-ps-abrotman, and stricter where browsers could do more than a logo needs.

Laws:
- Security: an element, attribute or function that is not listed here makes the whole logo one that
  is not shown. So there are no scripts, events, style sheets, animations, pictures, and no address
  but of a place in the logo itself.
- Security: what is read is what browsers read: UTF-8, without a DOCTYPE and its entities, without
  processing instructions (``xml-stylesheet``).
- A logo is drawn in bounded time: bytes, elements and depth have caps, and what ``use`` repeats has
  no ``use`` in it.
"""

from __future__ import annotations

import re
from typing import NoReturn
from xml.parsers import expat

from zajil.mailauth.logotype import MAX_SVG, BadLogo

MAX_ELEMENTS = 2000
MAX_DEPTH = 32
MAX_REPEATED = 10_000
"""Elements that ``use`` may repeat, all together."""

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"
_SEPARATOR = "\n"  # cannot be in a namespace: expat turns line ends in attributes into spaces

_ELEMENTS = frozenset(
    f"{_SVG}{_SEPARATOR}{name}"
    for name in (
        *("svg", "title", "desc", "g", "defs", "use", "path", "rect", "circle", "ellipse", "line"),
        *("polyline", "polygon", "linearGradient", "radialGradient", "stop", "solidColor"),
        *("text", "tspan"),
    )
)
_ATTRIBUTES = frozenset(
    (
        *("id", "version", "baseProfile", "viewBox", "preserveAspectRatio", "width", "height"),
        *("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "d", "points"),
        *("dx", "dy", "rotate", "pathLength", "transform", "offset", "role", "zoomAndPan"),
        *("gradientUnits", "gradientTransform", "spreadMethod", "color", "color-rendering"),
        *("fill", "fill-opacity", "fill-rule", "clip-rule", "opacity", "stroke", "stroke-width"),
        *("stroke-opacity", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit"),
        *("stroke-dasharray", "stroke-dashoffset", "stop-color", "stop-opacity", "solid-color"),
        *("solid-opacity", "vector-effect", "display", "visibility", "overflow", "shape-rendering"),
        *("text-rendering", "text-anchor", "font-family", "font-size", "font-style"),
        *("font-weight", "font-variant", "letter-spacing", "word-spacing", "aria-label"),
        *("aria-labelledby", "xml:space", f"{_XML}{_SEPARATOR}space", f"{_XML}{_SEPARATOR}lang"),
    )
)
_LINKS = frozenset(("href", f"{_XLINK}{_SEPARATOR}href"))
_LINKING = frozenset(
    f"{_SVG}{_SEPARATOR}{name}" for name in ("use", "linearGradient", "radialGradient")
)
_OWN_PLACE = re.compile(r"#[A-Za-z_][\w.:-]{0,99}\Z", re.ASCII)
_NO_NAME = re.compile(r"[^\w-]++")
_HARMLESS = frozenset(
    ("translate", "scale", "rotate", "matrix", "skewx", "skewy", "rgb", "rgba", "hsl", "hsla")
)


def check_logo(svg: bytes) -> None:
    """Check that a logo can be shown as a picture.

    Args:
        svg: unpacked.

    Raises:
        BadLogo: it is not XML, or not of the profile; the text says why.
    """
    if len(svg) > MAX_SVG:
        raise BadLogo("the logo is too large")
    # Security: a byte order mark of UTF-16 wins over everything, in expat and in browsers.
    if b"\0" in svg or not _is_utf8(svg):
        raise BadLogo("the logo is not in UTF-8")
    _Reader().read(svg)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return False
    return True


class _Reader:
    def __init__(self) -> None:
        # Security: the encoding is given, so that a declaration cannot choose another one here.
        parser = expat.ParserCreate("utf-8", _SEPARATOR)
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.ExternalEntityRefHandler = self._refuse_doctype
        parser.ProcessingInstructionHandler = self._refuse_instruction
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        self._parser = parser
        self._elements = 0
        self._named: list[bool] = []
        """Of each open element but the root, whether something can refer to it."""
        self._uses = self._repeatable = 0

    def read(self, svg: bytes) -> None:
        try:
            # In one piece: older versions of expat read a long token anew with each piece.
            self._parser.Parse(svg, True)
        except expat.ExpatError as error:
            raise BadLogo(f"the logo is not XML: {expat.ErrorString(error.code)}") from None
        finally:
            # The handlers are methods of ours: the cycle is cut so that memory goes at once.
            self._parser.StartElementHandler = None
            self._parser.EndElementHandler = None

    # ---- what expat calls -----------------------------------------------------------------------

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        # Security: browsers obey it, so in another encoding they would read something else.
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise BadLogo("the logo is not in UTF-8")

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise BadLogo("the logo has a document type declaration, which is not allowed")

    def _refuse_instruction(self, *_: object) -> NoReturn:
        raise BadLogo("the logo has a processing instruction, which is not allowed")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._named) >= MAX_DEPTH:
            raise BadLogo("the logo has too many elements")
        local = name.rpartition(_SEPARATOR)[2]
        if name not in _ELEMENTS or (local == "svg") != (self._elements == 1):
            raise BadLogo(f"the logo has an element that is not allowed: {local[:40]}")
        if local == "svg":
            profile = (attributes.get("version"), attributes.get("baseProfile"))
            if profile != ("1.2", "tiny-ps"):
                raise BadLogo("the logo does not have the profile tiny-ps of SVG 1.2")
        for attribute, value in attributes.items():
            _check_attribute(name, attribute, value)
        is_named = self._elements > 1 and "id" in attributes
        if local == "use" and (is_named or any(self._named)):
            raise BadLogo("the logo repeats what is repeated")
        self._named.append(is_named)
        self._uses += local == "use"
        self._repeatable += any(self._named)
        if self._uses * self._repeatable > MAX_REPEATED:
            raise BadLogo("the logo repeats too many elements")

    def _end(self, _name: str) -> None:
        self._named.pop()


def _check_attribute(element: str, attribute: str, value: str) -> None:
    if attribute in _LINKS:
        if element not in _LINKING or not _OWN_PLACE.match(value):
            raise BadLogo("the logo refers to something outside of it")
        return
    if attribute not in _ATTRIBUTES:
        name = attribute.rpartition(_SEPARATOR)[2]
        raise BadLogo(f"the logo has an attribute that is not allowed: {name[:40]}")
    # Security: most attributes are read as CSS, where escapes and comments hide what a word is.
    if "\\" in value or "/*" in value:
        raise BadLogo("the logo has an escape in an attribute")
    before, *others = value.split("(")
    for piece in others:
        function = _NO_NAME.split(before.rstrip())[-1].lower()
        argument = piece.partition(")")[0]
        if function == "url":
            if not _OWN_PLACE.match(argument.strip(" \t'\"")):
                raise BadLogo("the logo refers to something outside of it")
        elif function not in _HARMLESS:
            raise BadLogo(f"the logo has a function that is not allowed: {function[:40]}")
        before = piece
